import Diff from"./diff/base.js";import{diffChars,characterDiff}from"./diff/character.js";import{diffWords,diffWordsWithSpace,
wordDiff,wordsWithSpaceDiff}from"./diff/word.js";import{diffLines,diffTrimmedLines,lineDiff}from"./diff/line.js";import{
diffSentences,sentenceDiff}from"./diff/sentence.js";import{diffCss,cssDiff}from"./diff/css.js";import{diffJson,canonicalize,
jsonDiff}from"./diff/json.js";import{diffArrays,arrayDiff}from"./diff/array.js";import{applyPatch,applyPatches}from"./patch/apply.js";
import{parsePatch}from"./patch/parse.js";import{reversePatch}from"./patch/reverse.js";import{structuredPatch,createTwoFilesPatch,
createPatch,formatPatch,INCLUDE_HEADERS,FILE_HEADERS_ONLY,OMIT_HEADERS}from"./patch/create.js";import{convertChangesToDMP}from"./convert/dmp.js";
import{convertChangesToXML}from"./convert/xml.js";export{Diff,diffChars,characterDiff,diffWords,wordDiff,diffWordsWithSpace,
wordsWithSpaceDiff,diffLines,lineDiff,diffTrimmedLines,diffSentences,sentenceDiff,diffCss,cssDiff,diffJson,jsonDiff,diffArrays,
arrayDiff,structuredPatch,createTwoFilesPatch,createPatch,formatPatch,INCLUDE_HEADERS,FILE_HEADERS_ONLY,OMIT_HEADERS,applyPatch,
applyPatches,parsePatch,reversePatch,convertChangesToDMP,convertChangesToXML,canonicalize};
