import{useQueryClient}from"./QueryClientProvider.js";import{useSyncExternalStore}from"./utils.js";import{notifyManager,replaceEqualDeep}from"@tanstack/query-core";
import{useCallback,useEffect,useRef}from"preact/hooks";function useIsMutating(filters,queryClient){const client=useQueryClient(
queryClient);return useMutationState({filters:{...filters,status:"pending"}},client).length}function getResult(mutationCache,options){
return mutationCache.findAll(options.filters).map(mutation=>options.select?options.select(mutation):mutation.state)}function useMutationState(options={},queryClient){
const mutationCache=useQueryClient(queryClient).getMutationCache();const optionsRef=useRef(options);const result=useRef(
null);if(result.current===null)result.current=getResult(mutationCache,options);useEffect(()=>{optionsRef.current=options});
return useSyncExternalStore(useCallback(onStoreChange=>mutationCache.subscribe(()=>{const nextResult=replaceEqualDeep(result.
current,getResult(mutationCache,optionsRef.current));if(result.current!==nextResult){result.current=nextResult;notifyManager.
schedule(onStoreChange)}}),[mutationCache]),()=>result.current)}export{useIsMutating,useMutationState};
