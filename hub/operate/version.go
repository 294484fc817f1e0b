package operate

import (
	"cmp"
	"runtime"
	"runtime/debug"

	"github.com/hookline/hookline/hub/api"
	"github.com/hookline/hookline/storage"
)

// Version returns what this program was built from. The commit is "unknown" if it was
// built outside of a repository, or without the information of version control.
func Version() api.Build {
	b := api.Build{Go: runtime.Version(), Schema: storage.Schema()}
	if info, there := debug.ReadBuildInfo(); there {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Commit = s.Value
			case "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
	}
	b.Commit = cmp.Or(b.Commit, "unknown")
	return b
}
