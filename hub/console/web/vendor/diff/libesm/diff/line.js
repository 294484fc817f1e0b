import Diff from"./base.js";import{generateOptions}from"../util/params.js";class LineDiff extends Diff{constructor(){super(
...arguments);this.tokenize=tokenize}equals(left,right,options){if(options.ignoreWhitespace){if(!options.newlineIsToken||
!left.includes("\n")){left=left.trim()}if(!options.newlineIsToken||!right.includes("\n")){right=right.trim()}}else if(options.
ignoreNewlineAtEof&&!options.newlineIsToken){if(left.endsWith("\n")){left=left.slice(0,-1)}if(right.endsWith("\n")){right=
right.slice(0,-1)}}return super.equals(left,right,options)}}export const lineDiff=new LineDiff;export function diffLines(oldStr,newStr,options){
return lineDiff.diff(oldStr,newStr,options)}export function diffTrimmedLines(oldStr,newStr,options){options=generateOptions(
options,{ignoreWhitespace:true});return lineDiff.diff(oldStr,newStr,options)}export function tokenize(value,options){if(options.
stripTrailingCr){value=value.replace(/\r\n/g,"\n")}const retLines=[],linesAndNewlines=value.split(/(\n|\r\n)/);if(!linesAndNewlines[linesAndNewlines.
length-1]){linesAndNewlines.pop()}for(let i=0;i<linesAndNewlines.length;i++){const line=linesAndNewlines[i];if(i%2&&!options.
newlineIsToken){retLines[retLines.length-1]+=line}else{retLines.push(line)}}return retLines}
