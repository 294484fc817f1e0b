import{createContext}from"preact";import{useContext,useState}from"preact/hooks";import{jsx}from"preact/jsx-runtime";function createValue(){
let isReset=false;return{clearReset:()=>{isReset=false},reset:()=>{isReset=true},isReset:()=>{return isReset}}}const QueryErrorResetBoundaryContext=createContext(
createValue());const useQueryErrorResetBoundary=()=>useContext(QueryErrorResetBoundaryContext);const QueryErrorResetBoundary=({
children})=>{const[value]=useState(()=>createValue());return jsx(QueryErrorResetBoundaryContext.Provider,{value,children:typeof children===
"function"?children(value):children})};export{QueryErrorResetBoundary,useQueryErrorResetBoundary};
