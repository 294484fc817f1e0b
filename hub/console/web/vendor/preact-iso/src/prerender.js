import{h,options,cloneElement}from"preact";import{renderToStringAsync}from"preact-render-to-string";let vnodeHook;const old=options.
vnode;options.vnode=vnode=>{if(old)old(vnode);if(vnodeHook)vnodeHook(vnode)};export default async function prerender(vnode,options2){
options2=options2||{};const props=options2.props;if(typeof vnode==="function"){vnode=h(vnode,props)}else if(props){vnode=
cloneElement(vnode,props)}let links=new Set;vnodeHook=({type,props:props2})=>{if(type==="a"&&props2&&props2.href&&(!props2.
target||props2.target==="_self")){links.add(props2.href)}};try{let html=await renderToStringAsync(vnode);html+=`<script \
type="isodata"><\/script>`;return{html,links}}finally{vnodeHook=null}}export function locationStub(path){globalThis.location=
{};const u=new URL(path,"http://localhost");for(const i in u){try{globalThis.location[i]=/to[A-Z]/.test(i)?u[i].bind(u):
String(u[i])}catch{}}}
