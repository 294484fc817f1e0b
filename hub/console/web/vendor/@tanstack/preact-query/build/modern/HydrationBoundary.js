import{useQueryClient}from"./QueryClientProvider.js";import{hydrate}from"@tanstack/query-core";import{Fragment}from"preact";
import{useEffect,useMemo,useRef}from"preact/hooks";import{jsx}from"preact/jsx-runtime";const HydrationBoundary=({children,
options={},state,queryClient})=>{const client=useQueryClient(queryClient);const optionsRef=useRef(options);useEffect(()=>{
optionsRef.current=options});const hydrationQueue=useMemo(()=>{if(state){if(typeof state!=="object")return;const queryCache=client.
getQueryCache();const queries=state.queries||[];const newQueries=[];const existingQueries=[];for(const dehydratedQuery of queries){
const existingQuery=queryCache.get(dehydratedQuery.queryHash);if(!existingQuery)newQueries.push(dehydratedQuery);else if(dehydratedQuery.
state.dataUpdatedAt>existingQuery.state.dataUpdatedAt||dehydratedQuery.promise&&existingQuery.state.status!=="pending"&&
existingQuery.state.fetchStatus!=="fetching"&&dehydratedQuery.dehydratedAt>existingQuery.state.dataUpdatedAt)existingQueries.
push(dehydratedQuery)}if(newQueries.length>0)hydrate(client,{queries:newQueries},optionsRef.current);if(existingQueries.
length>0)return existingQueries}},[client,state]);useEffect(()=>{if(hydrationQueue)hydrate(client,{queries:hydrationQueue},
optionsRef.current)},[client,hydrationQueue]);return jsx(Fragment,{children})};export{HydrationBoundary};
