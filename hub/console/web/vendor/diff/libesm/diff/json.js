import Diff from"./base.js";import{tokenize}from"./line.js";class JsonDiff extends Diff{constructor(){super(...arguments);
this.tokenize=tokenize}get useLongestToken(){return true}castInput(value,options){const{undefinedReplacement,stringifyReplacer=(k,v)=>typeof v===
"undefined"?undefinedReplacement:v}=options;return typeof value==="string"?value:JSON.stringify(canonicalize(value,null,
null,stringifyReplacer),null,"  ")}equals(left,right,options){return super.equals(left.replace(/,([\r\n])/g,"$1"),right.
replace(/,([\r\n])/g,"$1"),options)}}export const jsonDiff=new JsonDiff;export function diffJson(oldStr,newStr,options){
return jsonDiff.diff(oldStr,newStr,options)}export function canonicalize(obj,stack,replacementStack,replacer,key){stack=
stack||[];replacementStack=replacementStack||[];if(replacer){obj=replacer(key===void 0?"":key,obj)}let i;for(i=0;i<stack.
length;i+=1){if(stack[i]===obj){return replacementStack[i]}}let canonicalizedObj;if("[object Array]"===Object.prototype.
toString.call(obj)){stack.push(obj);canonicalizedObj=new Array(obj.length);replacementStack.push(canonicalizedObj);for(i=
0;i<obj.length;i+=1){canonicalizedObj[i]=canonicalize(obj[i],stack,replacementStack,replacer,String(i))}stack.pop();replacementStack.
pop();return canonicalizedObj}if(obj&&obj.toJSON){obj=obj.toJSON()}if(typeof obj==="object"&&obj!==null){stack.push(obj);
canonicalizedObj={};replacementStack.push(canonicalizedObj);const sortedKeys=[];let key2;for(key2 in obj){if(Object.prototype.
hasOwnProperty.call(obj,key2)){sortedKeys.push(key2)}}sortedKeys.sort();for(i=0;i<sortedKeys.length;i+=1){key2=sortedKeys[i];
canonicalizedObj[key2]=canonicalize(obj[key2],stack,replacementStack,replacer,key2)}stack.pop();replacementStack.pop()}else{
canonicalizedObj=obj}return canonicalizedObj}
