import{hashQueryKeyByOptions,matchQuery}from"./utils.js";import{Subscribable}from"./subscribable.js";import{notifyManager}from"./notifyManager.js";
import{Query}from"./query.js";var QueryCache=class extends Subscribable{#queries;constructor(config={}){super();this.config=
config;this.#queries=new Map}build(client,options,state){const queryKey=options.queryKey;const queryHash=options.queryHash??
hashQueryKeyByOptions(queryKey,options);let query=this.get(queryHash);if(!query){query=new Query({client,queryKey,queryHash,
options:client.defaultQueryOptions(options),state,defaultOptions:client.getQueryDefaults(queryKey)});this.add(query)}return query}add(query){
if(!this.#queries.has(query.queryHash)){this.#queries.set(query.queryHash,query);this.notify({type:"added",query})}}remove(query){
if(this.#queries.get(query.queryHash)===query){query.destroy();this.#queries.delete(query.queryHash);this.notify({type:"\
removed",query})}}clear(){notifyManager.batch(()=>{this.getAll().forEach(query=>{this.remove(query)})})}get(queryHash){return this.#queries.
get(queryHash)}getAll(){return[...this.#queries.values()]}find(filters){const defaultedFilters={exact:true,...filters};return this.
getAll().find(query=>matchQuery(defaultedFilters,query))}findAll(filters={}){const queries=this.getAll();return Object.keys(
filters).length>0?queries.filter(query=>matchQuery(filters,query)):queries}notify(event){notifyManager.batch(()=>{this.listeners.
forEach(listener=>{listener(event)})})}onFocus(){notifyManager.batch(()=>{this.getAll().forEach(query=>{query.onFocus()})})}onOnline(){
notifyManager.batch(()=>{this.getAll().forEach(query=>{query.onOnline()})})}};export{QueryCache};
