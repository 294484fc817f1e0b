import{useQueryClient}from"./QueryClientProvider.js";import{useSyncExternalStore}from"./utils.js";import{notifyManager}from"@tanstack/query-core";
import{useCallback}from"preact/hooks";function useIsFetching(filters,queryClient){const client=useQueryClient(queryClient);
const queryCache=client.getQueryCache();return useSyncExternalStore(useCallback(onStoreChange=>queryCache.subscribe(notifyManager.
batchCalls(onStoreChange)),[queryCache]),()=>client.isFetching(filters))}export{useIsFetching};
