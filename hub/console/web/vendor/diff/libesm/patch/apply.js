import{hasOnlyWinLineEndings,hasOnlyUnixLineEndings}from"../util/string.js";import{isWin,isUnix,unixToWin,winToUnix}from"./line-endings.js";
import{parsePatch}from"./parse.js";import distanceIterator from"../util/distance-iterator.js";export function applyPatch(source,patch,options={}){
let patches;if(typeof patch==="string"){patches=parsePatch(patch)}else if(Array.isArray(patch)){patches=patch}else{patches=
[patch]}if(patches.length>1){throw new Error("applyPatch only works with a single input.")}return applyStructuredPatch(source,
patches[0],options)}function applyStructuredPatch(source,patch,options={}){if(options.autoConvertLineEndings||options.autoConvertLineEndings==
null){if(hasOnlyWinLineEndings(source)&&isUnix(patch)){patch=unixToWin(patch)}else if(hasOnlyUnixLineEndings(source)&&isWin(
patch)){patch=winToUnix(patch)}}const lines=source.split("\n"),hunks=patch.hunks,compareLine=options.compareLine||((lineNumber,line,operation,patchContent)=>line===
patchContent),fuzzFactor=options.fuzzFactor||0;let minLine=0;if(fuzzFactor<0||!Number.isInteger(fuzzFactor)){throw new Error(
"fuzzFactor must be a non-negative integer")}if(!hunks.length){return source}let prevLine="",removeEOFNL=false,addEOFNL=false;
for(let i=0;i<hunks[hunks.length-1].lines.length;i++){const line=hunks[hunks.length-1].lines[i];if(line[0]=="\\"){if(prevLine[0]==
"+"){removeEOFNL=true}else if(prevLine[0]=="-"){addEOFNL=true}}prevLine=line}if(removeEOFNL){if(addEOFNL){if(!fuzzFactor&&
lines[lines.length-1]==""){return false}}else if(lines[lines.length-1]==""){lines.pop()}else if(!fuzzFactor){return false}}else if(addEOFNL){
if(lines[lines.length-1]!=""){lines.push("")}else if(!fuzzFactor){return false}}function applyHunk(hunkLines,toPos,maxErrors,hunkLinesI=0,lastContextLineMatched=true,patchedLines=[],patchedLinesLength=0){
let nConsecutiveOldContextLines=0;let nextContextLineMustMatch=false;for(;hunkLinesI<hunkLines.length;hunkLinesI++){const hunkLine=hunkLines[hunkLinesI],
operation=hunkLine.length>0?hunkLine[0]:" ",content=hunkLine.length>0?hunkLine.substr(1):hunkLine;if(operation==="-"){if(compareLine(
toPos+1,lines[toPos],operation,content)){toPos++;nConsecutiveOldContextLines=0}else{if(!maxErrors||lines[toPos]==null){return null}
patchedLines[patchedLinesLength]=lines[toPos];return applyHunk(hunkLines,toPos+1,maxErrors-1,hunkLinesI,false,patchedLines,
patchedLinesLength+1)}}if(operation==="+"){if(!lastContextLineMatched){return null}patchedLines[patchedLinesLength]=content;
patchedLinesLength++;nConsecutiveOldContextLines=0;nextContextLineMustMatch=true}if(operation===" "){nConsecutiveOldContextLines++;
patchedLines[patchedLinesLength]=lines[toPos];if(compareLine(toPos+1,lines[toPos],operation,content)){patchedLinesLength++;
lastContextLineMatched=true;nextContextLineMustMatch=false;toPos++}else{if(nextContextLineMustMatch||!maxErrors){return null}
return lines[toPos]&&(applyHunk(hunkLines,toPos+1,maxErrors-1,hunkLinesI+1,false,patchedLines,patchedLinesLength+1)||applyHunk(
hunkLines,toPos+1,maxErrors-1,hunkLinesI,false,patchedLines,patchedLinesLength+1))||applyHunk(hunkLines,toPos,maxErrors-
1,hunkLinesI+1,false,patchedLines,patchedLinesLength)}}}patchedLinesLength-=nConsecutiveOldContextLines;toPos-=nConsecutiveOldContextLines;
patchedLines.length=patchedLinesLength;return{patchedLines,oldLineLastI:toPos-1}}const resultLines=[];let prevHunkOffset=0;
for(let i=0;i<hunks.length;i++){const hunk=hunks[i];let hunkResult;const maxLine=lines.length-hunk.oldLines+fuzzFactor;let toPos;
for(let maxErrors=0;maxErrors<=fuzzFactor;maxErrors++){toPos=hunk.oldStart+prevHunkOffset-1;const iterator=distanceIterator(
toPos,minLine,maxLine);for(;toPos!==void 0;toPos=iterator()){hunkResult=applyHunk(hunk.lines,toPos,maxErrors);if(hunkResult){
break}}if(hunkResult){break}}if(!hunkResult){return false}for(let i2=minLine;i2<toPos;i2++){resultLines.push(lines[i2])}
for(let i2=0;i2<hunkResult.patchedLines.length;i2++){const line=hunkResult.patchedLines[i2];resultLines.push(line)}minLine=
hunkResult.oldLineLastI+1;prevHunkOffset=toPos+1-hunk.oldStart}for(let i=minLine;i<lines.length;i++){resultLines.push(lines[i])}
return resultLines.join("\n")}export function applyPatches(uniDiff,options){const spDiff=typeof uniDiff==="string"?parsePatch(
uniDiff):uniDiff;let currentIndex=0;function processIndex(){const index=spDiff[currentIndex++];if(!index){return options.
complete()}options.loadFile(index,function(err,data){if(err){return options.complete(err)}const updatedContent=applyPatch(
data,index,options);options.patched(index,updatedContent,function(err2){if(err2){return options.complete(err2)}processIndex()})})}
processIndex()}
