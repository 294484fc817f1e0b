import{isServer as isServer$1}from"./utils.js";let isServerFn=()=>isServer$1;const isServer=()=>isServerFn();const environmentManager={
isServer,setIsServer(isServerValue){isServerFn=isServerValue}};export{environmentManager,isServer};
