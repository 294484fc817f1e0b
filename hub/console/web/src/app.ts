// The frame of all pages. What pages may use of it is exported here, because they are scripts of
// their own that are loaded later: see frame.ts.
import "./css/base.css";
import "./css/frame.css";
import "./css/parts.css";
import { start } from "./shell";

export * from "./frame";

start(document.getElementById("app")!);
