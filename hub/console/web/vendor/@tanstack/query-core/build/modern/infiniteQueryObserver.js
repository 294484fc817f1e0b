import{hasNextPage,hasPreviousPage}from"./infiniteQueryBehavior.js";import{QueryObserver}from"./queryObserver.js";var InfiniteQueryObserver=class extends QueryObserver{constructor(client,options){
super(client,options)}bindMethods(){super.bindMethods();this.fetchNextPage=this.fetchNextPage.bind(this);this.fetchPreviousPage=
this.fetchPreviousPage.bind(this)}setOptions(options){options._type="infinite";super.setOptions(options)}getOptimisticResult(options){
options._type="infinite";return super.getOptimisticResult(options)}fetchNextPage(options){return this.fetch({...options,
meta:{fetchMore:{direction:"forward"}}})}fetchPreviousPage(options){return this.fetch({...options,meta:{fetchMore:{direction:"\
backward"}}})}createResult(query,options){const{state}=query;const parentResult=super.createResult(query,options);const{
isFetching,isRefetching,isError,isRefetchError}=parentResult;const fetchDirection=state.fetchMeta?.fetchMore?.direction;
const isFetchNextPageError=isError&&fetchDirection==="forward";const isFetchingNextPage=isFetching&&fetchDirection==="fo\
rward";const isFetchPreviousPageError=isError&&fetchDirection==="backward";const isFetchingPreviousPage=isFetching&&fetchDirection===
"backward";return{...parentResult,fetchNextPage:this.fetchNextPage,fetchPreviousPage:this.fetchPreviousPage,hasNextPage:hasNextPage(
options,state.data),hasPreviousPage:hasPreviousPage(options,state.data),isFetchNextPageError,isFetchingNextPage,isFetchPreviousPageError,
isFetchingPreviousPage,isRefetchError:isRefetchError&&!isFetchNextPageError&&!isFetchPreviousPageError,isRefetching:isRefetching&&
!isFetchingNextPage&&!isFetchingPreviousPage}}};export{InfiniteQueryObserver};
