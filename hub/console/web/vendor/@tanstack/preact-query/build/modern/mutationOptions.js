function mutationOptions(options){return options}export{mutationOptions};
