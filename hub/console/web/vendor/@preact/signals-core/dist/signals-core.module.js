var i=Symbol.for("preact-signals");function t(){if(!(v>1)){var i2,t2=false;!(function(){var i3=c;c=void 0;while(void 0!==
i3){var t3=i3.S;if(t3.v===i3.v){for(var r3=t3.t;void 0!==r3;r3=r3.x)if(r3.i===i3.i)r3.i=t3.i}i3=i3.o}})();while(void 0!==
h){var r2=h;h=void 0;s++;while(void 0!==r2){var n2=r2.u;r2.u=void 0;r2.f&=-3;if(!(8&r2.f)&&w(r2))try{r2.c()}catch(r3){if(!t2){
i2=r3;t2=true}}r2=n2}}s=0;v--;if(t2)throw i2}else v--}function r(i2){if(v>0)return i2();u=++e;v++;try{return i2()}finally{
t()}}var n,o=void 0;function f(i2){var t2=o,r2=n;o=void 0;n=void 0;try{return i2()}finally{o=t2;n=r2}}var h=void 0,v=0,s=0,
e=0,u=0,c=void 0,a=0;function d(i2){if(void 0!==o){var t2=i2.n;if(void 0===t2||t2.t!==o){t2={i:0,S:i2,p:o.s,n:void 0,t:o,
e:void 0,x:void 0,r:t2};if(void 0!==o.s)o.s.n=t2;o.s=t2;i2.n=t2;if(32&o.f)i2.S(t2);return t2}else if(-1===t2.i){t2.i=0;if(void 0!==
t2.n){t2.n.p=t2.p;if(void 0!==t2.p)t2.p.n=t2.n;t2.p=o.s;t2.n=void 0;o.s.n=t2;o.s=t2}return t2}}}function l(i2,t2){this.v=
i2;this.i=0;this.n=void 0;this.t=void 0;this.l=0;this.W=null==t2?void 0:t2.watched;this.Z=null==t2?void 0:t2.unwatched;this.
name=null==t2?void 0:t2.name}l.prototype.brand=i;l.prototype.h=function(){return true};l.prototype.S=function(i2){var t2=this,
r2=this.t;if(r2!==i2&&void 0===i2.e){i2.x=r2;this.t=i2;if(void 0!==r2)r2.e=i2;else f(function(){var i3;null==(i3=t2.W)||
i3.call(t2)})}};l.prototype.U=function(i2){var t2=this;if(void 0!==this.t){var r2=i2.e,n2=i2.x;if(void 0!==r2){r2.x=n2;i2.
e=void 0}if(void 0!==n2){n2.e=r2;i2.x=void 0}if(i2===this.t){this.t=n2;if(void 0===n2)f(function(){var i3;null==(i3=t2.Z)||
i3.call(t2)})}}};l.prototype.subscribe=function(i2){var t2=this;return x(function(){var r2=t2.value;f(function(){return i2(
r2)})},{name:"sub"})};l.prototype.valueOf=function(){return this.value};l.prototype.toString=function(){return this.value+
""};l.prototype.toJSON=function(){return this.value};l.prototype.peek=function(){var i2=this;return f(function(){return i2.
value})};Object.defineProperty(l.prototype,"value",{get:function(){var i2=d(this);if(void 0!==i2)i2.i=this.i;return this.
v},set:function(i2){if(i2!==this.v){if(s>100)throw new Error("Cycle detected");!(function(i3){if(0!==v&&0===s){if(i3.l!==
u){i3.l=u;c={S:i3,v:i3.v,i:i3.i,o:c}}}})(this);this.v=i2;this.i++;a++;v++;try{for(var r2=this.t;void 0!==r2;r2=r2.x)r2.t.
N()}finally{t()}}}});function y(i2,t2){return new l(i2,t2)}function w(i2){for(var t2=i2.s;void 0!==t2;t2=t2.n)if(t2.S.i!==
t2.i||!t2.S.h()||t2.S.i!==t2.i)return true;return false}function b(i2){for(var t2=i2.s;void 0!==t2;t2=t2.n){var r2=t2.S.
n;if(void 0!==r2)t2.r=r2;t2.S.n=t2;t2.i=-1;if(void 0===t2.n){i2.s=t2;break}}}function _(i2){var t2=i2.s,r2=void 0;while(void 0!==
t2){var n2=t2.p;if(-1===t2.i){t2.S.U(t2);if(void 0!==n2)n2.n=t2.n;if(void 0!==t2.n)t2.n.p=n2}else r2=t2;t2.S.n=t2.r;if(void 0!==
t2.r)t2.r=void 0;t2=n2}i2.s=r2}function j(i2,t2){l.call(this,void 0,t2);this.x=i2;this.s=void 0;this.g=a-1;this.f=4}j.prototype=
new l;j.prototype.h=function(){this.f&=-3;if(1&this.f)return false;if(32==(36&this.f))return true;this.f&=-5;if(this.g===
a)return true;this.g=a;this.f|=1;if(this.i>0&&!w(this)){this.f&=-2;return true}var i2=o;try{b(this);o=this;var t2=this.x();
if(16&this.f||this.v!==t2||0===this.i){this.v=t2;this.f&=-17;this.i++}}catch(i3){this.v=i3;this.f|=16;this.i++}o=i2;_(this);
this.f&=-2;return true};j.prototype.S=function(i2){if(void 0===this.t){this.f|=36;for(var t2=this.s;void 0!==t2;t2=t2.n)
t2.S.S(t2)}l.prototype.S.call(this,i2)};j.prototype.U=function(i2){if(void 0!==this.t){l.prototype.U.call(this,i2);if(void 0===
this.t){this.f&=-33;for(var t2=this.s;void 0!==t2;t2=t2.n)t2.S.U(t2)}}};j.prototype.N=function(){if(!(2&this.f)){this.f|=
6;for(var i2=this.t;void 0!==i2;i2=i2.x)i2.t.N()}};Object.defineProperty(j.prototype,"value",{get:function(){if(1&this.f)
throw new Error("Cycle detected");var i2=d(this);this.h();if(void 0!==i2)i2.i=this.i;if(16&this.f)throw this.v;return this.
v}});function O(i2,t2){return new j(i2,t2)}function p(i2){var r2=i2.j;i2.j=void 0;if("function"==typeof r2){v++;var n2=o;
o=void 0;try{r2()}catch(t2){i2.f&=-2;i2.f|=8;g(i2);throw t2}finally{o=n2;t()}}}function g(i2){for(var t2=i2.s;void 0!==t2;t2=
t2.n)t2.S.U(t2);i2.x=void 0;i2.s=void 0;p(i2)}function S(i2){if(o!==this)throw new Error("Out-of-order effect");_(this);
o=i2;this.f&=-2;try{if(8&this.f)g(this)}finally{t()}}function m(i2,t2){this.x=i2;this.j=void 0;this.s=void 0;this.u=void 0;
this.f=32;this.name=null==t2?void 0:t2.name;if(n)n.push(this)}m.prototype.c=function(){var i2=this.S();try{if(8&this.f)return;
if(void 0===this.x)return;var t2=this.x();if("function"==typeof t2)this.j=t2}finally{i2()}};m.prototype.S=function(){if(1&
this.f)throw new Error("Cycle detected");this.f|=1;this.f&=-9;p(this);b(this);v++;var i2=o;o=this;return S.bind(this,i2)};
m.prototype.N=function(){if(!(2&this.f)){this.f|=2;this.u=h;h=this}};m.prototype.d=function(){this.f|=8;if(!(1&this.f))g(
this)};m.prototype.dispose=function(){this.d()};function x(i2,t2){var r2=new m(i2,t2);try{r2.c()}catch(i3){r2.d();throw i3}
var n2=r2.d.bind(r2);n2[Symbol.dispose]=n2;return n2}function E(i2){return function(){var t2=arguments,n2=this;return r(
function(){return f(function(){return i2.apply(n2,[].slice.call(t2))})})}}function C(){var i2=n;n=[];return function(){var t2=n;
if(n&&i2)i2=i2.concat(n);n=i2;return t2}}var k=function(i2,t2){t2.push(i2);for(var r2="[object Object]"===Object.prototype.
toString.call(i2),n2=Object.create(null),o2=i2;o2&&o2!==Object.prototype;o2=r2&&Object.getPrototypeOf(o2)){var f2=Object.
getOwnPropertyDescriptors(o2);for(var h2 in f2)if(!n2[h2]){n2[h2]=true;var v2=f2[h2].value;if("function"==typeof v2){if("\
constructor"!==h2)i2[h2]=E(v2)}else if(o2===i2&&"object"==typeof v2&&null!==v2&&!("brand"in v2)&&t2.indexOf(v2)<0)k(v2,t2)}}};
function T(i2){return function(){var t2,o2,f2=C();try{o2=i2.apply(void 0,[].slice.call(arguments))}catch(i3){var h2=n;n=
void 0;if(h2)try{r(function(){for(var i4=0;i4<h2.length;i4++)try{h2[i4].dispose()}catch(i5){}})}catch(i4){}throw i3}finally{
t2=f2()}k(o2,[]);o2[Symbol.dispose]=E(function(){if(t2)for(var i3=0;i3<t2.length;i3++)t2[i3].dispose();t2=void 0});return o2}}
export{j as Computed,m as Effect,l as Signal,E as action,r as batch,O as computed,T as createModel,x as effect,y as signal,
f as untracked};
