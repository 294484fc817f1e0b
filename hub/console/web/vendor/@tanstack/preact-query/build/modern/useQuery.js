import{useBaseQuery}from"./useBaseQuery.js";import{QueryObserver}from"@tanstack/query-core";function useQuery(options,queryClient){
return useBaseQuery(options,QueryObserver,queryClient)}export{useQuery};
