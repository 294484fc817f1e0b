package api

import (
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// The description of the API has every setting, and no other.
func TestSettingsAreDescribed(t *testing.T) {
	raw, err := os.ReadFile("../openapi/openapi.yaml")
	require.NoError(t, err)
	var doc struct {
		Components struct {
			Schemas map[string]struct{ Properties map[string]any }
		}
	}
	require.NoError(t, yaml.Unmarshal(raw, &doc))
	described := slices.Sorted(maps.Keys(doc.Components.Schemas["Settings"].Properties))
	require.Equal(t, slices.Sorted(maps.Keys(settings)), described)
}
