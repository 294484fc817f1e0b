// Sets the theme before anything is painted. It runs as a script that blocks, so it stays small.
try {
  const theme = localStorage.getItem("hookline.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Without storage the theme is that of the system.
}
