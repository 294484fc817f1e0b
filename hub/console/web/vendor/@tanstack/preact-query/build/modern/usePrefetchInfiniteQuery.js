import{useQueryClient}from"./QueryClientProvider.js";import{noop}from"@tanstack/query-core";function usePrefetchInfiniteQuery(options,queryClient){
const client=useQueryClient(queryClient);if(!client.getQueryState(options.queryKey))client.infiniteQuery(options).catch(
noop)}export{usePrefetchInfiniteQuery};
