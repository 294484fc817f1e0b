package subscriptions

import (
	"bytes"
	"maps"
	"net/http"
	"reflect"
	"slices"
)

// Differences lists the fields of a request to create, as JSON pointers, whose
// values current does not have. raw is the request, and asked what Create made
// of it. A field that the request leaves out is not compared, nor is a key that
// the hub would have made: only a given appKey must be the newest one of
// current. Nothing differs when the same request is sent again.
func Differences(raw []byte, asked, current *Subscription) (pointers []string) {
	var in input
	given, _ := in.object("", bytes.TrimSpace(raw))
	for _, m := range given {
		if m.isNull() && (m.name == "appKey" || m.name == "encryptionKey") {
			continue // the hub makes one
		}
		if same, compared := sameField[m.name]; compared && !same(asked, current) {
			pointers = append(pointers, m.pointer)
		}
	}
	return pointers
}

// sameField says of each field whether two subscriptions have the same value.
var sameField = map[string]func(a, b *Subscription) bool{
	"name":        func(a, b *Subscription) bool { return a.Name == b.Name },
	"description": func(a, b *Subscription) bool { return a.Description == b.Description },
	"url":         func(a, b *Subscription) bool { return a.URL == b.URL },
	"events": func(a, b *Subscription) bool {
		return slices.Equal(sortedSet(a.Events), sortedSet(b.Events))
	},
	"filter":     func(a, b *Subscription) bool { return a.Filter.same(b.Filter) },
	"masking":    func(a, b *Subscription) bool { return a.Masking == b.Masking },
	"appKey":     func(a, b *Subscription) bool { return a.newestKey().AppKey == b.newestKey().AppKey },
	"encryption": func(a, b *Subscription) bool { return a.Encryption == b.Encryption },
	"encryptionKey": func(a, b *Subscription) bool {
		return bytes.Equal(a.newestKey().Encryption, b.newestKey().Encryption)
	},
	"ordering":      func(a, b *Subscription) bool { return a.Ordering == b.Ordering },
	"headers":       func(a, b *Subscription) bool { return maps.Equal(byHeader(a.Headers), byHeader(b.Headers)) },
	"timeoutMs":     func(a, b *Subscription) bool { return a.Timeout == b.Timeout },
	"retry":         func(a, b *Subscription) bool { return reflect.DeepEqual(a.Retry, b.Retry) },
	"giveUpAfter":   func(a, b *Subscription) bool { return maps.Equal(a.GiveUpAfter, b.GiveUpAfter) },
	"maxInFlight":   func(a, b *Subscription) bool { return a.MaxInFlight == b.MaxInFlight },
	"state":         func(a, b *Subscription) bool { return a.State == b.State },
	"supersede":     func(a, b *Subscription) bool { return a.Supersede == b.Supersede },
	"strictAck":     func(a, b *Subscription) bool { return a.StrictAck == b.StrictAck },
	"ratePerSecond": func(a, b *Subscription) bool { return a.RatePerSecond == b.RatePerSecond },
	"expiresAfter":  func(a, b *Subscription) bool { return a.ExpiresAfter == b.ExpiresAfter },
}

// newestKey returns the zero Key for a subscription without keys.
func (s *Subscription) newestKey() Key {
	if len(s.Keys) == 0 {
		return Key{}
	}
	return s.Keys[len(s.Keys)-1]
}

// same reports whether two filters, nil for none, let the same events pass.
// The order of their values does not matter.
func (f *Filter) same(other *Filter) bool {
	if f == nil || other == nil {
		return f == other
	}

	sameValues := func(a, b Values) bool {
		return slices.Equal(sortedSet(a.list), sortedSet(b.list))
	}
	directions := func(f *Filter) []int {
		numbers := make([]int, len(f.callTypes))
		for i, t := range f.callTypes {
			numbers[i] = int(t.Direction)
		}
		return sortedSet(numbers)
	}
	return sameValues(f.agents, other.agents) && sameValues(f.departments, other.departments) &&
		sameValues(f.queues, other.queues) && sameValues(f.gateways, other.gateways) &&
		slices.Equal(directions(f), directions(other))
}

// sortedSet returns the values of a list, each once.
func sortedSet[T string | int](list []T) []T {
	return slices.Compact(slices.Sorted(slices.Values(list)))
}

// byHeader returns headers by the canonical form of their names, because the
// case of a name has no meaning.
func byHeader(headers map[string]string) map[string]string {
	canonical := make(map[string]string, len(headers))
	for name, value := range headers {
		canonical[http.CanonicalHeaderKey(name)] = value
	}
	return canonical
}
