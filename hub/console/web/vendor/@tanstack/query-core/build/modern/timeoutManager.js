const defaultTimeoutProvider={setTimeout:(callback,delay)=>setTimeout(callback,delay),clearTimeout:timeoutId=>clearTimeout(
timeoutId),setInterval:(callback,delay)=>setInterval(callback,delay),clearInterval:intervalId=>clearInterval(intervalId)};
var TimeoutManager=class{#provider=defaultTimeoutProvider;#providerCalled=false;setTimeoutProvider(provider){if(process.
env.NODE_ENV!=="production"){if(this.#providerCalled&&provider!==this.#provider)console.error(`[timeoutManager]: Switchi\
ng provider after calls to previous provider might result in unexpected behavior.`,{previous:this.#provider,provider})}this.#provider=
provider;if(process.env.NODE_ENV!=="production")this.#providerCalled=false}setTimeout(callback,delay){if(process.env.NODE_ENV!==
"production")this.#providerCalled=true;return this.#provider.setTimeout(callback,delay)}clearTimeout(timeoutId){this.#provider.
clearTimeout(timeoutId)}setInterval(callback,delay){if(process.env.NODE_ENV!=="production")this.#providerCalled=true;return this.#provider.
setInterval(callback,delay)}clearInterval(intervalId){this.#provider.clearInterval(intervalId)}};const timeoutManager=new TimeoutManager;
function systemSetTimeoutZero(callback){setTimeout(callback,0)}export{TimeoutManager,defaultTimeoutProvider,systemSetTimeoutZero,
timeoutManager};
