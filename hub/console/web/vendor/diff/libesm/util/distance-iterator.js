export default function(start,minLine,maxLine){let wantForward=true,backwardExhausted=false,forwardExhausted=false,localOffset=1;
return function iterator(){if(wantForward&&!forwardExhausted){if(backwardExhausted){localOffset++}else{wantForward=false}
if(start+localOffset<=maxLine){return start+localOffset}forwardExhausted=true}if(!backwardExhausted){if(!forwardExhausted){
wantForward=true}if(minLine<=start-localOffset){return start-localOffset++}backwardExhausted=true;return iterator()}return void 0}}
