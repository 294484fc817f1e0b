// All that a page may import from the frame. The build turns imports of this file, and of the
// libraries below, into imports of app.js, so that each exists once.
export * from "preact";
export * from "preact/hooks";
export { Fragment, jsx, jsxs } from "preact/jsx-runtime";
export { batch, computed, effect, signal, useComputed, useSignal, useSignalEffect } from "@preact/signals";
export { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/preact-query";
export { useLocation, useRoute } from "preact-iso";

export * from "./api";
export * from "./en";
export * from "./format";
export * from "./keys";
export * from "./list";
export * from "./parts";
export * from "./session";
export * from "./table";
export * from "./url";
export * from "./viewer";
export * from "./zone";
