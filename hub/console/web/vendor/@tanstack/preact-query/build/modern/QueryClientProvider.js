import{createContext}from"preact";import{useContext,useEffect}from"preact/hooks";import{jsx}from"preact/jsx-runtime";const QueryClientContext=createContext(
void 0);const useQueryClient=queryClient=>{const client=useContext(QueryClientContext);if(queryClient)return queryClient;
if(!client)throw new Error("No QueryClient set, use QueryClientProvider to set one");return client};const QueryClientProvider=({
client,children})=>{useEffect(()=>{client.mount();return()=>{client.unmount()}},[client]);return jsx(QueryClientContext.
Provider,{value:client,children})};export{QueryClientContext,QueryClientProvider,useQueryClient};
