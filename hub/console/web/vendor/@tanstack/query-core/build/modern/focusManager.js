import{Subscribable}from"./subscribable.js";var FocusManager=class extends Subscribable{#focused;#cleanup;#setup;constructor(){
super();this.#setup=onFocus=>{if(typeof window!=="undefined"&&window.addEventListener){const listener=()=>onFocus();window.
addEventListener("visibilitychange",listener,false);return()=>{window.removeEventListener("visibilitychange",listener)}}}}onSubscribe(){
if(!this.#cleanup)this.setEventListener(this.#setup)}onUnsubscribe(){if(!this.hasListeners()){this.#cleanup?.();this.#cleanup=
void 0}}setEventListener(setup){this.#setup=setup;this.#cleanup?.();this.#cleanup=setup(focused=>{if(typeof focused==="b\
oolean")this.setFocused(focused);else this.onFocus()})}setFocused(focused){if(this.#focused!==focused){this.#focused=focused;
this.onFocus()}}onFocus(){const isFocused=this.isFocused();this.listeners.forEach(listener=>{listener(isFocused)})}isFocused(){
if(typeof this.#focused==="boolean")return this.#focused;return globalThis.document?.visibilityState!=="hidden"}};const focusManager=new FocusManager;
export{FocusManager,focusManager};
