import{useBaseQuery}from"./useBaseQuery.js";import{InfiniteQueryObserver}from"@tanstack/query-core";function useInfiniteQuery(options,queryClient){
return useBaseQuery(options,InfiniteQueryObserver,queryClient)}export{useInfiniteQuery};
