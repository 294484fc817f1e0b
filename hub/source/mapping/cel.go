package mapping

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// environment compiles the expressions of one mapping, which see its tables.
type environment struct {
	cel *cel.Env
}

// program is an expression that is ready.
type program struct {
	cel cel.Program
}

// newEnvironment returns the language of expressions: CEL with optional values, the variables
// m, headers, query, rest, received and settings, and these functions:
//
//	table(name, key[, default])   what a table says of a key; null if nothing
//	inTable(name, text)           whether a text fits a pattern of a table that is a list
//	millis(value, unit[, zone])   a time as Unix ms; null for "" and null
//	text(value), number(value)    a value as text, or as a number; null for what is none
//	lower(text), upper(text)
//	part(text, separator, n)      the n-th part, from 0; "" if there are fewer
//	strip(text, prefix)           the text without the prefix, if it has that
//	unescape(text)                the text with %41 and the like decoded; as it is if that fails
//	hash(text)                    SHA-256 as 32 hexadecimal digits
func newEnvironment(tables map[string]any) (*environment, error) {
	dyn, str := cel.DynType, cel.StringType
	fn := func(name string, returns *cel.Type, impl func(args []any) (any, error), overloads ...[]*cel.Type) cel.EnvOption {
		var options []cel.FunctionOpt
		for i, args := range overloads {
			binding := cel.FunctionBinding(func(values ...ref.Val) ref.Val { return call(impl, values) })
			options = append(options, cel.Overload(name+"_"+strconv.Itoa(i), args, returns, binding))
		}
		return cel.Function(name, options...)
	}

	env, err := cel.NewEnv(
		cel.OptionalTypes(),
		cel.Variable("m", dyn), cel.Variable("headers", cel.MapType(str, str)), cel.Variable("query", cel.MapType(str, dyn)),
		cel.Variable("rest", str), cel.Variable("received", cel.IntType), cel.Variable("settings", cel.MapType(str, dyn)),
		fn("table", dyn, func(args []any) (any, error) { return lookUp(tables, args) },
			[]*cel.Type{str, dyn}, []*cel.Type{str, dyn, dyn}),
		fn("inTable", cel.BoolType, func(args []any) (any, error) { return fitsTable(tables, args) }, []*cel.Type{str, dyn}),
		fn("millis", dyn, callMillis, []*cel.Type{dyn, str}, []*cel.Type{dyn, str, dyn}),
		fn("text", str, func(args []any) (any, error) { return textOf(args[0]), nil }, []*cel.Type{dyn}),
		fn("number", dyn, callNumber, []*cel.Type{dyn}),
		fn("lower", str, func(args []any) (any, error) { return strings.ToLower(textOf(args[0])), nil }, []*cel.Type{dyn}),
		fn("upper", str, func(args []any) (any, error) { return strings.ToUpper(textOf(args[0])), nil }, []*cel.Type{dyn}),
		fn("part", str, callPart, []*cel.Type{dyn, str, cel.IntType}),
		fn("strip", str, func(args []any) (any, error) {
			return strings.TrimPrefix(textOf(args[0]), textOf(args[1])), nil
		}, []*cel.Type{dyn, str}),
		fn("unescape", str, func(args []any) (any, error) { return unescape(textOf(args[0])), nil }, []*cel.Type{dyn}),
		fn("hash", str, func(args []any) (any, error) {
			sum := sha256.Sum256([]byte(textOf(args[0])))
			return hex.EncodeToString(sum[:16]), nil
		}, []*cel.Type{dyn}),
	)
	if err != nil {
		return nil, err
	}
	return &environment{cel: env}, nil
}

// compile checks an expression and makes it ready.
func (e *environment) compile(text string) (*program, error) {
	if len(text) > maxExpression {
		return nil, fmt.Errorf("is longer than %d bytes", maxExpression)
	}
	ast, issues := e.cel.Compile(text)
	if issues.Err() != nil {
		var problems []string
		for _, is := range issues.Errors() {
			problems = append(problems, fmt.Sprintf("column %d: %s", is.Location.Column()+1, is.Message))
		}
		return nil, errors.New("is no expression: " + strings.Join(problems, "; "))
	}
	p, err := e.cel.Program(ast, cel.CostTracking(costs{}), cel.CostLimit(costLimit))
	if err != nil {
		return nil, fmt.Errorf("is no expression: %w", err)
	}
	return &program{cel: p}, nil
}

// costs counts calls by the length of the texts and lists that they work on. CEL itself does so
// only where types are known, and nothing is known of a message.
type costs struct{}

// Costs of a call, in CEL's units.
const (
	costOfText    = 10   // bytes of texts for one unit
	costOfObjects = 1000 // of comparing whole objects or arrays
)

// CallCost returns what a call costs.
func (costs) CallCost(function, _ string, args []ref.Val, result ref.Val) *uint64 {
	cost := uint64(1)
	for _, v := range append(args[:len(args):len(args)], result) {
		switch v := v.(type) {
		case types.String:
			cost += uint64(len(v)) / costOfText
		case types.Bytes:
			cost += uint64(len(v)) / costOfText
		case traits.Lister:
			if n, is := v.Size().(types.Int); is && (function == "_+_" || function == "@in") {
				cost += uint64(n)
			}
		}
		switch v.(type) {
		case traits.Lister, traits.Mapper:
			if function == "_==_" || function == "_!=_" {
				cost += costOfObjects
			}
		}
	}
	return &cost
}

// eval returns what an expression gives for a message.
func (p *program) eval(vars map[string]any) (any, error) {
	v, _, err := p.cel.Eval(vars)
	if err != nil {
		return nil, err
	}
	return native(v, 0)
}

// isNoSuchKey reports whether an expression asked for a field that the message does not have.
func isNoSuchKey(err error) bool {
	return strings.Contains(err.Error(), "no such key") || strings.Contains(err.Error(), "no such overload: null")
}

// native returns a value of CEL as JSON has it.
func native(v ref.Val, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}

	switch v := v.(type) {
	// Nothing, and what may be nothing.
	case types.Null:
		return nil, nil
	case *types.Optional:
		if !v.HasValue() {
			return nil, nil
		}
		return native(v.GetValue(), depth+1)

	// Single values. A number too large for JSON's readers stays as it is written.
	case types.Bool:
		return bool(v), nil
	case types.Int:
		return int64(v), nil
	case types.Uint:
		return numberOf(strconv.FormatUint(uint64(v), 10)), nil
	case types.Double:
		return float64(v), nil
	case types.String:
		return string(v), nil
	case types.Timestamp:
		return v.UnixMilli(), nil
	case types.Duration:
		return v.Milliseconds(), nil

	// Objects and lists.
	case traits.Mapper:
		out := map[string]any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			name, is := key.(types.String)
			if !is {
				return nil, errors.New("the names of an object must be texts")
			}
			member, err := native(v.Get(key), depth+1)
			if err != nil {
				return nil, err
			}
			out[string(name)] = member
		}
		return out, nil
	case traits.Lister:
		out := []any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			member, err := native(it.Next(), depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, member)
		}
		return out, nil
	}
	return nil, fmt.Errorf("gives a value of type %s, which JSON does not have", v.Type().TypeName())
}

// maxArgument is how long a text may be that a function of ours takes: CEL counts a call of one
// as one unit, whatever it works on.
const maxArgument = 64 << 10

// single returns an argument of a function of ours, which must be a single value.
func single(v ref.Val) (any, error) {
	switch v := v.(type) {
	case *types.Optional, traits.Mapper, traits.Lister:
		if o, is := v.(*types.Optional); is {
			if !o.HasValue() {
				return nil, nil
			}
			return single(o.GetValue())
		}
		return nil, errors.New("a function takes single values, no objects and arrays")
	case types.String:
		if len(v) > maxArgument {
			return nil, fmt.Errorf("a function takes texts of at most %d bytes", maxArgument)
		}
	}
	return native(v, 0)
}

// call lets a function of ours take and return values of CEL.
func call(impl func(args []any) (any, error), values []ref.Val) ref.Val {
	args := make([]any, len(values))
	for i, v := range values {
		arg, err := single(v)
		if err != nil {
			return types.NewErr("%s", err.Error())
		}
		args[i] = arg
	}
	out, err := impl(args)
	if err != nil {
		return types.NewErr("%s", err.Error())
	}
	return types.DefaultTypeAdapter.NativeToValue(out)
}

func lookUp(tables map[string]any, args []any) (any, error) {
	name := textOf(args[0])
	entries, is := tables[name].(map[string]any)
	if !is {
		return nil, fmt.Errorf("there is no table %q", name)
	}
	if v, there := entries[textOf(args[1])]; there {
		if n, is := v.(int); is { // YAML
			return int64(n), nil
		}
		return v, nil
	}
	if len(args) == 3 {
		return args[2], nil
	}
	return nil, nil
}

func fitsTable(tables map[string]any, args []any) (any, error) {
	name, text := textOf(args[0]), textOf(args[1])
	patterns, is := tables[name].([]any)
	if !is {
		return nil, fmt.Errorf("there is no table %q that is a list", name)
	}
	for _, p := range patterns {
		// A pattern of path.Match, in which a slash is a letter like others.
		pattern, _ := p.(string)
		fits, err := path.Match(noSlash.Replace(pattern), noSlash.Replace(text))
		if err == nil && fits {
			return true, nil
		}
	}
	return false, nil
}

var noSlash = strings.NewReplacer("/", "\x01")

func callMillis(args []any) (any, error) {
	if textOf(args[0]) == "" {
		return nil, nil
	}
	zone := ""
	if len(args) == 3 {
		zone = textOf(args[2])
	}
	at, err := millis(args[0], textOf(args[1]), zone)
	if err != nil {
		return nil, err
	}
	return at, nil
}

func callNumber(args []any) (any, error) {
	switch v := args[0].(type) {
	case int64, float64:
		return v, nil
	case string:
		switch n := numberOf(strings.TrimSpace(v)).(type) {
		case int64, float64:
			return n, nil
		}
	}
	return nil, nil
}

// unescape decodes the escapes of a URL, as FreeSWITCH writes values.
func unescape(text string) string {
	plain, err := url.PathUnescape(text)
	if err != nil || !utf8.ValidString(plain) {
		return text
	}
	return plain
}

func callPart(args []any) (any, error) {
	text, separator := textOf(args[0]), textOf(args[1])
	n, _ := args[2].(int64)
	if separator == "" || n < 0 {
		return "", nil
	}
	for range n {
		_, rest, found := strings.Cut(text, separator)
		if !found {
			return "", nil
		}
		text = rest
	}
	first, _, _ := strings.Cut(text, separator)
	return first, nil
}
