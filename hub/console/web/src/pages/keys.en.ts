// Words of keys and apps.
export const words = {
  title: "Keys and apps",
  lead: "Keys are for programs and people of yours; apps are credentials for clients of vendors that sign.",
  keys: "Keys", apps: "Apps",
  makeKey: "New key", makeApp: "New app",
  columns: { name: "Name", role: "Role", made: "Made", used: "Last used", expires: "Expires", state: "State", kind: "Kind", id: "App id" },
  states: { good: "Good", revoked: "Revoked", expired: "Expired", unused: "Unused for 90 days" },
  revoke: "Revoke", revokeTitle: "Revoke this key?", revokeText: "It is refused everywhere within 5 seconds, and sessions that began with it end.",
  revokeOwn: "This is the key that you are signed in with: you will be signed out.",
  delete: "Delete", deleteTitle: "Delete this app?", deleteText: "It and its tokens are refused everywhere within 5 seconds.",
  fields: { name: "Name", role: "Role", pii: "Sees numbers of customers", expires: "Expires", expiresHint: "Empty: never", kind: "Kind" },
  make: "Make",
  shown: "Shown this once", shownText: "It is not shown again. Store it now.", stored: "I have stored it",
  key: "key", secret: "appSecret", appId: "appId",
  noKeys: "No key yet", noApps: "No app yet",
  unnamed: "unnamed",
};
