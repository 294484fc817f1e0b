import{h,createContext,cloneElement,toChildArray}from"preact";import{useContext,useMemo,useReducer,useLayoutEffect,useRef}from"preact/hooks";
function isSameWindow(e){const sourceElement=e.sourceElement;return!sourceElement||!sourceElement.target||/^(_self)?$/i.
test(sourceElement.target)}let scope;function isInScope(url){return!scope||(typeof scope=="string"?url.pathname.startsWith(
scope):scope.test(url.pathname))}function handleNav(state,e){const url=new URL(e.destination.url);if(!e.canIntercept||e.
hashChange||e.downloadRequest!==null||!isSameWindow(e)||!isInScope(url)){e["preact-iso-ignored"]=true;return state}e.intercept(
{focusReset:"manual"});return url.href.replace(url.origin,"")}export const exec=(url,route,matches={})=>{url=url.split("\
/").filter(Boolean);route=(route||"").split("/").filter(Boolean);if(!matches.params)matches.params={};for(let i=0,val,rest;i<
Math.max(url.length,route.length);i++){let[,m,param,flag]=(route[i]||"").match(/^(:?)(.*?)([+*?]?)$/);val=url[i];if(!m&&
param==val)continue;if(!m&&val&&flag=="*"){matches.rest="/"+url.slice(i).map(decodeURIComponent).join("/");break}if(!m||
!val&&flag!="?"&&flag!="*")return;rest=flag=="+"||flag=="*";if(rest)val=url.slice(i).join("/")||void 0;else if(val)val=decodeURIComponent(
val);matches.params[param]=val;if(!(param in matches))matches[param]=val;if(rest)break}return matches};export function LocationProvider(props){
const[url,route]=useReducer(handleNav,location.pathname+location.search);if(props.scope)scope=props.scope;const value=useMemo(
()=>{const u=new URL(url,location.origin);const path=u.pathname.replace(/\/+$/g,"")||"/";return{url,path,query:Object.fromEntries(
u.searchParams)}},[url]);useLayoutEffect(()=>{navigation.addEventListener("navigate",route);return()=>{navigation.removeEventListener(
"navigate",route)}},[]);return h(LocationProvider.ctx.Provider,{value},props.children)}const RESOLVED=Promise.resolve();
export function Router(props){const[c,update]=useReducer(c2=>c2+1,0);const{url,query,path}=useLocation();if(!url){throw new Error(
`preact-iso's <Router> must be used within a <LocationProvider>, see: https://github.com/preactjs/preact-iso#locationpro\
vider`)}const{rest=path,params={}}=useContext(RouteContext);const isLoading=useRef(false);const prevRoute=useRef(path);const count=useRef(
1);const cur=useRef();const prev=useRef();const pendingBase=useRef();const hasEverCommitted=useRef(false);const didSuspend=useRef();
didSuspend.current=false;let pathRoute,defaultRoute,matchProps;toChildArray(props.children).some(vnode=>{const matches=exec(
rest,vnode.props.path,matchProps={...vnode.props,path:rest,query,params:Object.assign({},params),rest:""});if(matches)return pathRoute=
cloneElement(vnode,matchProps);if(vnode.props.default)defaultRoute=cloneElement(vnode,matchProps)});let incoming=pathRoute||
defaultRoute;const isHydratingSuspense=cur.current&&cur.current.__u&MODE_HYDRATE&&cur.current.__u&MODE_SUSPENDED;const isHydratingBool=cur.
current&&cur.current.__h;const routeChanged=useMemo(()=>{prev.current=cur.current;cur.current=h(RouteContext.Provider,{value:matchProps},
incoming);const outgoing=prev.current&&prev.current.props.children;if(!outgoing||!incoming||incoming.type!==outgoing.type||
incoming.props.component!==outgoing.props.component){count.current++;return true}return false},[url,JSON.stringify(matchProps)]);
if(isHydratingSuspense){cur.current.__u|=MODE_HYDRATE;cur.current.__u|=MODE_SUSPENDED}else if(isHydratingBool){cur.current.
__h=true}const p=prev.current;prev.current=null;this.__c=(e,suspendedVNode)=>{didSuspend.current=true;prev.current=p;if(props.
onLoadStart)props.onLoadStart(url);isLoading.current=true;let c2=count.current;e.then(()=>{if(c2!==count.current)return;
prev.current=null;if(cur.current){if(suspendedVNode.__h){cur.current.__h=suspendedVNode.__h}if(suspendedVNode.__u&MODE_SUSPENDED){
cur.current.__u|=MODE_SUSPENDED}if(suspendedVNode.__u&MODE_HYDRATE){cur.current.__u|=MODE_HYDRATE}}RESOLVED.then(update)})};
useLayoutEffect(()=>{const currentDom=this.__v&&this.__v.__e;if(didSuspend.current){if(!hasEverCommitted.current&&!pendingBase.
current){pendingBase.current=currentDom}return}if(!hasEverCommitted.current&&pendingBase.current){if(pendingBase.current!==
currentDom)pendingBase.current.remove();pendingBase.current=null}hasEverCommitted.current=true;if(prevRoute.current!==path){
if(props.onRouteChange)props.onRouteChange(url);prevRoute.current=path}if(props.onLoadEnd&&isLoading.current)props.onLoadEnd(
url);isLoading.current=false},[path,c]);return routeChanged?[h(RenderRef,{r:cur,key:count.current}),h(RenderRef,{r:prev,
key:count.current-1})]:h(RenderRef,{r:cur,key:count.current})}const MODE_HYDRATE=1<<5;const MODE_SUSPENDED=1<<7;const RenderRef=({
r})=>r.current;Router.Provider=LocationProvider;LocationProvider.ctx=createContext({});const RouteContext=createContext(
{});export const Route=props=>h(props.component,props);export const useLocation=()=>useContext(LocationProvider.ctx);export const useRoute=()=>useContext(
RouteContext);
