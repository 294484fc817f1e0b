export function unixToWin(patch){if(Array.isArray(patch)){return patch.map(p=>unixToWin(p))}return Object.assign(Object.
assign({},patch),{hunks:patch.hunks.map(hunk=>Object.assign(Object.assign({},hunk),{lines:hunk.lines.map((line,i)=>{var _a;
return line.startsWith("\\")||line.endsWith("\r")||((_a=hunk.lines[i+1])===null||_a===void 0?void 0:_a.startsWith("\\"))?
line:line+"\r"})}))})}export function winToUnix(patch){if(Array.isArray(patch)){return patch.map(p=>winToUnix(p))}return Object.
assign(Object.assign({},patch),{hunks:patch.hunks.map(hunk=>Object.assign(Object.assign({},hunk),{lines:hunk.lines.map(line=>line.
endsWith("\r")?line.substring(0,line.length-1):line)}))})}export function isUnix(patch){if(!Array.isArray(patch)){patch=
[patch]}return!patch.some(index=>index.hunks.some(hunk=>hunk.lines.some(line=>!line.startsWith("\\")&&line.endsWith("\r"))))}
export function isWin(patch){if(!Array.isArray(patch)){patch=[patch]}return patch.some(index=>index.hunks.some(hunk=>hunk.
lines.some(line=>line.endsWith("\r"))))&&patch.every(index=>index.hunks.every(hunk=>hunk.lines.every((line,i)=>{var _a;return line.
startsWith("\\")||line.endsWith("\r")||((_a=hunk.lines[i+1])===null||_a===void 0?void 0:_a.startsWith("\\"))})))}
