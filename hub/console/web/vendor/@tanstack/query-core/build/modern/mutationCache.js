import{matchMutation,noop}from"./utils.js";import{Subscribable}from"./subscribable.js";import{notifyManager}from"./notifyManager.js";
import{Mutation}from"./mutation.js";var MutationCache=class extends Subscribable{#mutations;#scopes;#mutationId;constructor(config={}){
super();this.config=config;this.#mutations=new Set;this.#scopes=new Map;this.#mutationId=0}build(client,options,state){const mutation=new Mutation(
{client,mutationCache:this,mutationId:++this.#mutationId,options:client.defaultMutationOptions(options),state});this.add(
mutation);return mutation}add(mutation){this.#mutations.add(mutation);const scope=scopeFor(mutation);if(typeof scope==="\
string"){const scopedMutations=this.#scopes.get(scope);if(scopedMutations)scopedMutations.push(mutation);else this.#scopes.
set(scope,[mutation])}this.notify({type:"added",mutation})}remove(mutation){if(this.#mutations.delete(mutation)){const scope=scopeFor(
mutation);if(typeof scope==="string"){const scopedMutations=this.#scopes.get(scope);if(scopedMutations){if(scopedMutations.
length>1){const index=scopedMutations.indexOf(mutation);if(index!==-1)scopedMutations.splice(index,1)}else if(scopedMutations[0]===
mutation)this.#scopes.delete(scope)}}}this.notify({type:"removed",mutation})}canRun(mutation){const scope=scopeFor(mutation);
if(typeof scope==="string"){const firstPendingMutation=this.#scopes.get(scope)?.find(m=>m.state.status==="pending");return!firstPendingMutation||
firstPendingMutation===mutation}else return true}runNext(mutation){const scope=scopeFor(mutation);if(typeof scope==="str\
ing")return this.#scopes.get(scope)?.find(m=>m!==mutation&&m.state.isPaused)?.continue()??Promise.resolve();else return Promise.
resolve()}clear(){notifyManager.batch(()=>{this.#mutations.forEach(mutation=>{this.notify({type:"removed",mutation})});this.#mutations.
clear();this.#scopes.clear()})}getAll(){return Array.from(this.#mutations)}find(filters){const defaultedFilters={exact:true,
...filters};return this.getAll().find(mutation=>matchMutation(defaultedFilters,mutation))}findAll(filters={}){return this.
getAll().filter(mutation=>matchMutation(filters,mutation))}notify(event){notifyManager.batch(()=>{this.listeners.forEach(
listener=>{listener(event)})})}resumePausedMutations(){const pausedMutations=this.getAll().filter(x=>x.state.isPaused);return notifyManager.
batch(()=>Promise.all(pausedMutations.map(mutation=>mutation.continue().catch(noop))))}};function scopeFor(mutation){return mutation.
options.scope?.id}export{MutationCache};
