import{useQueryClient}from"./QueryClientProvider.js";import{useSyncExternalStore}from"./utils.js";import{MutationObserver,
noop,notifyManager,shouldThrowError}from"@tanstack/query-core";import{useCallback,useEffect,useState}from"preact/hooks";
function useMutation(options,queryClient){const client=useQueryClient(queryClient);const[observer]=useState(()=>new MutationObserver(
client,options));useEffect(()=>{observer.setOptions(options)},[observer,options]);const result=useSyncExternalStore(useCallback(
onStoreChange=>observer.subscribe(notifyManager.batchCalls(onStoreChange)),[observer]),()=>observer.getCurrentResult());
const mutate=useCallback((...args)=>{observer.mutate(args[0],args[1]).catch(noop)},[observer]);if(result.error&&shouldThrowError(
observer.options.throwOnError,[result.error]))throw result.error;return{...result,mutate,mutateAsync:result.mutate}}export{
useMutation};
