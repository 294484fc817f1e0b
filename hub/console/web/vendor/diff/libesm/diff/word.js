import Diff from"./base.js";import{longestCommonPrefix,longestCommonSuffix,replacePrefix,replaceSuffix,removePrefix,removeSuffix,
maximumOverlap,leadingWs,trailingWs,leadingAndTrailingWs,segment}from"../util/string.js";const extendedWordChars="a-zA-Z\
0-9_\\u{AD}\\u{C0}-\\u{D6}\\u{D8}-\\u{F6}\\u{F8}-\\u{2C6}\\u{2C8}-\\u{2D7}\\u{2DE}-\\u{2FF}\\u{1E00}-\\u{1EFF}";const tokenizeIncludingWhitespace=new RegExp(
`[${extendedWordChars}]+|\\s+|[^${extendedWordChars}]`,"ug");class WordDiff extends Diff{equals(left,right,options){if(options.
ignoreCase){left=left.toLowerCase();right=right.toLowerCase()}return left.trim()===right.trim()}tokenize(value,options={}){
let parts;if(options.intlSegmenter){const segmenter=options.intlSegmenter;if(segmenter.resolvedOptions().granularity!="w\
ord"){throw new Error('The segmenter passed must have a granularity of "word"')}parts=segment(value,segmenter)}else{parts=
value.match(tokenizeIncludingWhitespace)||[]}const tokens=[];let prevPart=null;parts.forEach(part=>{if(/\s/.test(part)){
if(prevPart==null){tokens.push(part)}else{tokens.push(tokens.pop()+part)}}else if(prevPart!=null&&/\s/.test(prevPart)){if(tokens[tokens.
length-1]==prevPart){tokens.push(tokens.pop()+part)}else{tokens.push(prevPart+part)}}else{tokens.push(part)}prevPart=part});
return tokens}join(tokens){return tokens.map((token,i)=>{if(i==0){return token}else{return token.replace(/^\s+/,"")}}).join(
"")}postProcess(changes,options){if(!changes||options.oneChangePerToken){return changes}let lastKeep=null;let insertion=null;
let deletion=null;changes.forEach(change=>{if(change.added){insertion=change}else if(change.removed){deletion=change}else{
if(insertion||deletion){dedupeWhitespaceInChangeObjects(lastKeep,deletion,insertion,change,options.intlSegmenter)}lastKeep=
change;insertion=null;deletion=null}});if(insertion||deletion){dedupeWhitespaceInChangeObjects(lastKeep,deletion,insertion,
null,options.intlSegmenter)}return changes}}export const wordDiff=new WordDiff;export function diffWords(oldStr,newStr,options){
if((options===null||options===void 0?void 0:options.ignoreWhitespace)!=null&&!options.ignoreWhitespace){return diffWordsWithSpace(
oldStr,newStr,options)}return wordDiff.diff(oldStr,newStr,options)}function dedupeWhitespaceInChangeObjects(startKeep,deletion,insertion,endKeep,segmenter){
if(deletion&&insertion){const[oldWsPrefix,oldWsSuffix]=leadingAndTrailingWs(deletion.value,segmenter);const[newWsPrefix,
newWsSuffix]=leadingAndTrailingWs(insertion.value,segmenter);if(startKeep){const commonWsPrefix=longestCommonPrefix(oldWsPrefix,
newWsPrefix);startKeep.value=replaceSuffix(startKeep.value,newWsPrefix,commonWsPrefix);deletion.value=removePrefix(deletion.
value,commonWsPrefix);insertion.value=removePrefix(insertion.value,commonWsPrefix)}if(endKeep){const commonWsSuffix=longestCommonSuffix(
oldWsSuffix,newWsSuffix);endKeep.value=replacePrefix(endKeep.value,newWsSuffix,commonWsSuffix);deletion.value=removeSuffix(
deletion.value,commonWsSuffix);insertion.value=removeSuffix(insertion.value,commonWsSuffix)}}else if(insertion){if(startKeep){
const ws=leadingWs(insertion.value,segmenter);insertion.value=insertion.value.substring(ws.length)}if(endKeep){const ws=leadingWs(
endKeep.value,segmenter);endKeep.value=endKeep.value.substring(ws.length)}}else if(startKeep&&endKeep){const newWsFull=leadingWs(
endKeep.value,segmenter),[delWsStart,delWsEnd]=leadingAndTrailingWs(deletion.value,segmenter);const newWsStart=longestCommonPrefix(
newWsFull,delWsStart);deletion.value=removePrefix(deletion.value,newWsStart);const newWsEnd=longestCommonSuffix(removePrefix(
newWsFull,newWsStart),delWsEnd);deletion.value=removeSuffix(deletion.value,newWsEnd);endKeep.value=replacePrefix(endKeep.
value,newWsFull,newWsEnd);startKeep.value=replaceSuffix(startKeep.value,newWsFull,newWsFull.slice(0,newWsFull.length-newWsEnd.
length))}else if(endKeep){const endKeepWsPrefix=leadingWs(endKeep.value,segmenter);const deletionWsSuffix=trailingWs(deletion.
value,segmenter);const overlap=maximumOverlap(deletionWsSuffix,endKeepWsPrefix);deletion.value=removeSuffix(deletion.value,
overlap)}else if(startKeep){const startKeepWsSuffix=trailingWs(startKeep.value,segmenter);const deletionWsPrefix=leadingWs(
deletion.value,segmenter);const overlap=maximumOverlap(startKeepWsSuffix,deletionWsPrefix);deletion.value=removePrefix(deletion.
value,overlap)}}class WordsWithSpaceDiff extends Diff{tokenize(value){const regex=new RegExp(`(\\r?\\n)|[${extendedWordChars}\
]+|[^\\S\\n\\r]+|[^${extendedWordChars}]`,"ug");return value.match(regex)||[]}}export const wordsWithSpaceDiff=new WordsWithSpaceDiff;
export function diffWordsWithSpace(oldStr,newStr,options){return wordsWithSpaceDiff.diff(oldStr,newStr,options)}
