import{options as n}from"preact";var t,r,u,i,o=0,f=[],c=n,e=c.__b,a=c.__r,v=c.diffed,l=c.__c,m=c.unmount,p=c.__;function s(n2,t2){
c.__h&&c.__h(r,n2,o||t2),o=0;var u2=r.__H||(r.__H={__:[],__h:[]});return n2>=u2.__.length&&u2.__.push({}),u2.__[n2]}function d(n2){
return o=1,y(D,n2)}function y(n2,u2,i2){var o2=s(t++,2);if(o2.t=n2,!o2.__c&&(o2.__=[i2?i2(u2):D(void 0,u2),function(n3){
var t2=o2.__N?o2.__N[0]:o2.__[0],r2=o2.t(t2,n3);t2!==r2&&(o2.__N=[r2,o2.__[1]],o2.__c.setState({}))}],o2.__c=r,!r.__f)){
var f2=function(n3,t2,r2){if(!o2.__c.__H)return true;var u3=false,i3=o2.__c.props!==n3;if(o2.__c.__H.__.some(function(n4){
if(n4.__N){u3=true;var t3=n4.__[0];n4.__=n4.__N,n4.__N=void 0,t3!==n4.__[0]&&(i3=true)}}),c2){var f3=c2.call(this,n3,t2,
r2);return u3?f3||i3:f3}return!u3||i3};r.__f=true;var c2=r.shouldComponentUpdate,e2=r.componentWillUpdate;r.componentWillUpdate=
function(n3,t2,r2){if(this.__e){var u3=c2;c2=void 0,f2(n3,t2,r2),c2=u3}e2&&e2.call(this,n3,t2,r2)},r.shouldComponentUpdate=
f2}return o2.__N||o2.__}function h(n2,u2){var i2=s(t++,3);!c.__s&&C(i2.__H,u2)&&(i2.__=n2,i2.u=u2,r.__H.__h.push(i2))}function _(n2,u2){
var i2=s(t++,4);!c.__s&&C(i2.__H,u2)&&(i2.__=n2,i2.u=u2,r.__h.push(i2))}function A(n2){return o=5,T(function(){return{current:n2}},
[])}function F(n2,t2,r2){o=6,_(function(){if("function"==typeof n2){var r3=n2(t2());return function(){n2(null),r3&&"func\
tion"==typeof r3&&r3()}}if(n2)return n2.current=t2(),function(){return n2.current=null}},null==r2?r2:r2.concat(n2))}function T(n2,r2){
var u2=s(t++,7);return C(u2.__H,r2)&&(u2.__=n2(),u2.__H=r2,u2.__h=n2),u2.__}function q(n2,t2){return o=8,T(function(){return n2},
t2)}function x(n2){var u2=r.context[n2.__c],i2=s(t++,9);return i2.c=n2,u2?(null==i2.__&&(i2.__=true,u2.sub(r)),u2.props.
value):n2.__}function P(n2,t2){c.useDebugValue&&c.useDebugValue(t2?t2(n2):n2)}function b(n2){var u2=s(t++,10),i2=d();return u2.
__=n2,r.componentDidCatch||(r.componentDidCatch=function(n3,t2){u2.__&&u2.__(n3,t2),i2[1](n3)}),[i2[0],function(){i2[1](
void 0)}]}function g(){var n2=s(t++,11);if(!n2.__){for(var u2=r.__v;null!==u2&&!u2.__m&&null!==u2.__;)u2=u2.__;var i2=u2.
__m||(u2.__m=[0,0]);n2.__="P"+i2[0]+"-"+i2[1]++}return n2.__}function j(){for(var n2;n2=f.shift();){var t2=n2.__H;if(n2.
__P&&t2)try{t2.__h.some(z),t2.__h.some(B),t2.__h=[]}catch(r2){t2.__h=[],c.__e(r2,n2.__v)}}}c.__b=function(n2){r=null,e&&
e(n2)},c.__=function(n2,t2){n2&&t2.__k&&t2.__k.__m&&(n2.__m=t2.__k.__m),p&&p(n2,t2)},c.__r=function(n2){a&&a(n2),t=0;var i2=(r=
n2.__c).__H;i2&&(u===r?(i2.__h=[],r.__h=[],i2.__.some(function(n3){n3.__N&&(n3.__=n3.__N),n3.u=n3.__N=void 0})):(i2.__h.
some(z),i2.__h.some(B),i2.__h=[],t=0)),u=r},c.diffed=function(n2){v&&v(n2);var t2=n2.__c;t2&&t2.__H&&(t2.__H.__h.length&&
(1!==f.push(t2)&&i===c.requestAnimationFrame||((i=c.requestAnimationFrame)||w)(j)),t2.__H.__.some(function(n3){n3.u&&(n3.
__H=n3.u,n3.u=void 0)})),u=r=null},c.__c=function(n2,t2){t2.some(function(n3){try{n3.__h.some(z),n3.__h=n3.__h.filter(function(n4){
return!n4.__||B(n4)})}catch(r2){t2.some(function(n4){n4.__h&&(n4.__h=[])}),t2=[],c.__e(r2,n3.__v)}}),l&&l(n2,t2)},c.unmount=
function(n2){m&&m(n2);var t2,r2=n2.__c;r2&&r2.__H&&(r2.__H.__.some(function(n3){try{z(n3)}catch(n4){t2=n4}}),r2.__H=void 0,
t2&&c.__e(t2,r2.__v))};var k="function"==typeof requestAnimationFrame;function w(n2){var t2,r2=function(){clearTimeout(u2),
k&&cancelAnimationFrame(t2),setTimeout(n2)},u2=setTimeout(r2,35);k&&(t2=requestAnimationFrame(r2))}function z(n2){var t2=r,
u2=n2.__c;"function"==typeof u2&&(n2.__c=void 0,u2()),r=t2}function B(n2){var t2=r;n2.__c=n2.__(),r=t2}function C(n2,t2){
return!n2||n2.length!==t2.length||t2.some(function(t3,r2){return t3!==n2[r2]})}function D(n2,t2){return"function"==typeof t2?
t2(n2):t2}export{q as useCallback,x as useContext,P as useDebugValue,h as useEffect,b as useErrorBoundary,g as useId,F as useImperativeHandle,
_ as useLayoutEffect,T as useMemo,y as useReducer,A as useRef,d as useState};
