import{diffLines}from"../diff/line.js";function needsQuoting(s){for(let i=0;i<s.length;i++){if(s[i]<" "||s[i]>"~"||s[i]===
'"'||s[i]==="\\"){return true}}return false}function quoteFileNameIfNeeded(s){if(!needsQuoting(s)){return s}let result='\
"';const bytes=new TextEncoder().encode(s);let i=0;while(i<bytes.length){const b=bytes[i];if(b===7){result+="\\a"}else if(b===
8){result+="\\b"}else if(b===9){result+="\\t"}else if(b===10){result+="\\n"}else if(b===11){result+="\\v"}else if(b===12){
result+="\\f"}else if(b===13){result+="\\r"}else if(b===34){result+='\\"'}else if(b===92){result+="\\\\"}else if(b>=32&&
b<=126){result+=String.fromCharCode(b)}else{result+="\\"+b.toString(8).padStart(3,"0")}i++}result+='"';return result}export const INCLUDE_HEADERS={
includeIndex:true,includeUnderline:true,includeFileHeaders:true};export const FILE_HEADERS_ONLY={includeIndex:false,includeUnderline:false,
includeFileHeaders:true};export const OMIT_HEADERS={includeIndex:false,includeUnderline:false,includeFileHeaders:false};
export function structuredPatch(oldFileName,newFileName,oldStr,newStr,oldHeader,newHeader,options){let optionsObj;if(!options){
optionsObj={}}else if(typeof options==="function"){optionsObj={callback:options}}else{optionsObj=options}if(typeof optionsObj.
context==="undefined"){optionsObj.context=4}const context=optionsObj.context;if(optionsObj.newlineIsToken){throw new Error(
"newlineIsToken may not be used with patch-generation functions, only with diffing functions")}if(!optionsObj.callback){
return diffLinesResultToPatch(diffLines(oldStr,newStr,optionsObj))}else{const{callback}=optionsObj;diffLines(oldStr,newStr,
Object.assign(Object.assign({},optionsObj),{callback:diff=>{const patch=diffLinesResultToPatch(diff);callback(patch)}}))}
function diffLinesResultToPatch(diff){if(!diff){return}diff.push({value:"",lines:[]});function contextLines(lines){return lines.
map(function(entry){return" "+entry})}const hunks=[];let oldRangeStart=0,newRangeStart=0,curRange=[],oldLine=1,newLine=1;
for(let i=0;i<diff.length;i++){const current=diff[i],lines=current.lines||splitLines(current.value);current.lines=lines;
if(current.added||current.removed){if(!oldRangeStart){const prev=diff[i-1];oldRangeStart=oldLine;newRangeStart=newLine;if(prev){
curRange=context>0?contextLines(prev.lines.slice(-context)):[];oldRangeStart-=curRange.length;newRangeStart-=curRange.length}}
for(const line of lines){curRange.push((current.added?"+":"-")+line)}if(current.added){newLine+=lines.length}else{oldLine+=
lines.length}}else{if(oldRangeStart){if(lines.length<=context*2&&i<diff.length-2){for(const line of contextLines(lines)){
curRange.push(line)}}else{const contextSize=Math.min(lines.length,context);for(const line of contextLines(lines.slice(0,
contextSize))){curRange.push(line)}const hunk={oldStart:oldRangeStart,oldLines:oldLine-oldRangeStart+contextSize,newStart:newRangeStart,
newLines:newLine-newRangeStart+contextSize,lines:curRange};hunks.push(hunk);oldRangeStart=0;newRangeStart=0;curRange=[]}}
oldLine+=lines.length;newLine+=lines.length}}for(const hunk of hunks){for(let i=0;i<hunk.lines.length;i++){if(hunk.lines[i].
endsWith("\n")){hunk.lines[i]=hunk.lines[i].slice(0,-1)}else{hunk.lines.splice(i+1,0,"\\ No newline at end of file");i++}}}
return{oldFileName,newFileName,oldHeader,newHeader,hunks}}}export function formatPatch(patch,headerOptions){var _a,_b,_c,
_d,_e,_f;if(!headerOptions){headerOptions=INCLUDE_HEADERS}if(Array.isArray(patch)){if(patch.length>1&&!headerOptions.includeFileHeaders&&
!patch.every(p=>p.isGit)){throw new Error("Cannot omit file headers on a multi-file patch. (The result would be unparsea\
ble; how would a tool trying to apply the patch know which changes are to which file?)")}return patch.map(p=>formatPatch(
p,headerOptions)).join("\n")}const ret=[];if(patch.isGit){headerOptions=INCLUDE_HEADERS;if(!patch.oldFileName){throw new Error(
"oldFileName must be specified for Git patches")}if(!patch.newFileName){throw new Error("newFileName must be specified f\
or Git patches")}let gitOldName=patch.oldFileName;let gitNewName=patch.newFileName;if(patch.isCreate&&gitOldName==="/dev\
/null"){gitOldName=gitNewName.replace(/^b\//,"a/")}else if(patch.isDelete&&gitNewName==="/dev/null"){gitNewName=gitOldName.
replace(/^a\//,"b/")}ret.push("diff --git "+quoteFileNameIfNeeded(gitOldName)+" "+quoteFileNameIfNeeded(gitNewName));if(patch.
isDelete){ret.push("deleted file mode "+((_a=patch.oldMode)!==null&&_a!==void 0?_a:"100644"))}if(patch.isCreate){ret.push(
"new file mode "+((_b=patch.newMode)!==null&&_b!==void 0?_b:"100644"))}if(patch.oldMode&&patch.newMode&&!patch.isDelete&&
!patch.isCreate){ret.push("old mode "+patch.oldMode);ret.push("new mode "+patch.newMode)}if(patch.isRename){ret.push("re\
name from "+quoteFileNameIfNeeded(((_c=patch.oldFileName)!==null&&_c!==void 0?_c:"").replace(/^a\//,"")));ret.push("rena\
me to "+quoteFileNameIfNeeded(((_d=patch.newFileName)!==null&&_d!==void 0?_d:"").replace(/^b\//,"")))}if(patch.isCopy){ret.
push("copy from "+quoteFileNameIfNeeded(((_e=patch.oldFileName)!==null&&_e!==void 0?_e:"").replace(/^a\//,"")));ret.push(
"copy to "+quoteFileNameIfNeeded(((_f=patch.newFileName)!==null&&_f!==void 0?_f:"").replace(/^b\//,"")))}}else{if(headerOptions.
includeIndex&&patch.oldFileName==patch.newFileName&&patch.oldFileName!==void 0){ret.push("Index: "+patch.oldFileName)}if(headerOptions.
includeUnderline){ret.push("===================================================================")}}const hasHunks=patch.
hunks.length>0;if(headerOptions.includeFileHeaders&&patch.oldFileName!==void 0&&patch.newFileName!==void 0&&(!patch.isGit||
hasHunks)){ret.push("--- "+quoteFileNameIfNeeded(patch.oldFileName)+(patch.oldHeader?"	"+patch.oldHeader:""));ret.push("\
+++ "+quoteFileNameIfNeeded(patch.newFileName)+(patch.newHeader?"	"+patch.newHeader:""))}for(let i=0;i<patch.hunks.length;i++){
const hunk=patch.hunks[i];const oldStart=hunk.oldLines===0?hunk.oldStart-1:hunk.oldStart;const newStart=hunk.newLines===
0?hunk.newStart-1:hunk.newStart;ret.push("@@ -"+oldStart+","+hunk.oldLines+" +"+newStart+","+hunk.newLines+" @@");for(const line of hunk.
lines){ret.push(line)}}return ret.join("\n")+"\n"}export function createTwoFilesPatch(oldFileName,newFileName,oldStr,newStr,oldHeader,newHeader,options){
if(typeof options==="function"){options={callback:options}}if(!(options===null||options===void 0?void 0:options.callback)){
const patchObj=structuredPatch(oldFileName,newFileName,oldStr,newStr,oldHeader,newHeader,options);if(!patchObj){return}return formatPatch(
patchObj,options===null||options===void 0?void 0:options.headerOptions)}else{const{callback}=options;structuredPatch(oldFileName,
newFileName,oldStr,newStr,oldHeader,newHeader,Object.assign(Object.assign({},options),{callback:patchObj=>{if(!patchObj){
callback(void 0)}else{callback(formatPatch(patchObj,options.headerOptions))}}}))}}export function createPatch(fileName,oldStr,newStr,oldHeader,newHeader,options){
return createTwoFilesPatch(fileName,fileName,oldStr,newStr,oldHeader,newHeader,options)}function splitLines(text){const hasTrailingNl=text.
endsWith("\n");const result=text.split("\n").map(line=>line+"\n");if(hasTrailingNl){result.pop()}else{result.push(result.
pop().slice(0,-1))}return result}
