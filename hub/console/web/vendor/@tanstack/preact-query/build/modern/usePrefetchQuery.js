import{useQueryClient}from"./QueryClientProvider.js";import{noop}from"@tanstack/query-core";function usePrefetchQuery(options,queryClient){
const client=useQueryClient(queryClient);if(!client.getQueryState(options.queryKey))client.query(options).catch(noop)}export{
usePrefetchQuery};
