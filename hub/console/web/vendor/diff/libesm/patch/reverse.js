function swapPrefix(fileName){if(fileName===void 0||fileName==="/dev/null"){return fileName}if(fileName.startsWith("a/")){
return"b/"+fileName.slice(2)}if(fileName.startsWith("b/")){return"a/"+fileName.slice(2)}return fileName}export function reversePatch(structuredPatch){
if(Array.isArray(structuredPatch)){return structuredPatch.map(patch=>reversePatch(patch)).reverse()}const reversed=Object.
assign(Object.assign({},structuredPatch),{oldFileName:structuredPatch.isGit?swapPrefix(structuredPatch.newFileName):structuredPatch.
newFileName,oldHeader:structuredPatch.newHeader,newFileName:structuredPatch.isGit?swapPrefix(structuredPatch.oldFileName):
structuredPatch.oldFileName,newHeader:structuredPatch.oldHeader,oldMode:structuredPatch.newMode,newMode:structuredPatch.
oldMode,isCreate:structuredPatch.isDelete,isDelete:structuredPatch.isCreate,hunks:structuredPatch.hunks.map(hunk=>{return{
oldLines:hunk.newLines,oldStart:hunk.newStart,newLines:hunk.oldLines,newStart:hunk.oldStart,lines:hunk.lines.map(l=>{if(l.
startsWith("-")){return`+${l.slice(1)}`}if(l.startsWith("+")){return`-${l.slice(1)}`}return l})}})});if(structuredPatch.
isCopy){reversed.newFileName="/dev/null";reversed.newHeader=void 0;reversed.isDelete=true;delete reversed.isCreate;delete reversed.
isCopy;delete reversed.isRename;reversed.hunks=[]}return reversed}
