const dataTagSymbol=Symbol();const dataTagErrorSymbol=Symbol();const unsetMarker=Symbol();export{dataTagErrorSymbol,dataTagSymbol,
unsetMarker};
