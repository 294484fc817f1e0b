import{createContext}from"preact";import{useContext}from"preact/hooks";const IsRestoringContext=createContext(false);const useIsRestoring=()=>useContext(
IsRestoringContext);const IsRestoringProvider=IsRestoringContext.Provider;export{IsRestoringProvider,useIsRestoring};
