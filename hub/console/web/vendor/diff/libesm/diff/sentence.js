import Diff from"./base.js";function isSentenceEndPunct(char){return char=="."||char=="!"||char=="?"}class SentenceDiff extends Diff{tokenize(value){
var _a;const result=[];let tokenStartI=0;for(let i=0;i<value.length;i++){if(i==value.length-1){result.push(value.slice(tokenStartI));
break}if(isSentenceEndPunct(value[i])&&value[i+1].match(/\s/)){result.push(value.slice(tokenStartI,i+1));i=tokenStartI=i+
1;while((_a=value[i+1])===null||_a===void 0?void 0:_a.match(/\s/)){i++}result.push(value.slice(tokenStartI,i+1));tokenStartI=
i+1}}return result}}export const sentenceDiff=new SentenceDiff;export function diffSentences(oldStr,newStr,options){return sentenceDiff.
diff(oldStr,newStr,options)}
