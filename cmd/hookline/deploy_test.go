package main

import (
	"bytes"
	"context"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/hookline/hookline/signing"
)

// composition is what docker-compose.yml says, as far as we use it. Other
// words are mistakes, but for the templates x-….
type composition struct {
	Hub      any                       `yaml:"x-hub"`
	Services map[string]composeService `yaml:"services"`
	Networks map[string]struct {
		IPAM struct {
			Config []struct {
				Subnet string
				Range  string `yaml:"ip_range"`
			}
		}
	}
	Volumes map[string]struct{}
}

type composeService struct {
	Build           string
	Image           string
	Restart         string
	ReadOnly        bool     `yaml:"read_only"`
	CapDrop         []string `yaml:"cap_drop"`
	SecurityOpt     []string `yaml:"security_opt"`
	Ulimits         map[string]int
	StopGracePeriod time.Duration `yaml:"stop_grace_period"`
	ShmSize         string        `yaml:"shm_size"`
	Command         []string
	Environment     map[string]string
	Networks        composeNetworks
	DependsOn       map[string]struct{ Condition string } `yaml:"depends_on"`
	Ports           []string
	Volumes         []string
	Healthcheck     struct {
		Test              []string
		Interval, Timeout time.Duration
		Retries           int
	}
}

// composeNetworks are the networks of a service, with its address in each; "" if it has any.
type composeNetworks map[string]string

// UnmarshalYAML reads both forms: a list of names, and an object.
func (n *composeNetworks) UnmarshalYAML(node *yaml.Node) error {
	*n = composeNetworks{}
	if node.Kind == yaml.SequenceNode {
		var names []string
		if err := node.Decode(&names); err != nil {
			return err
		}
		for _, name := range names {
			(*n)[name] = ""
		}
		return nil
	}
	var given map[string]struct {
		Address string `yaml:"ipv4_address"`
	}
	if err := node.Decode(&given); err != nil {
		return err
	}
	for name, in := range given {
		(*n)[name] = in.Address
	}
	return nil
}

// names lists the networks.
func (n composeNetworks) names() []string { return slices.Sorted(maps.Keys(n)) }

// compose reads docker-compose.yml with these variables, as Docker Compose does.
func compose(t *testing.T, variables map[string]string) composition {
	t.Helper()
	text, err := os.ReadFile("../../docker-compose.yml")
	require.NoError(t, err)
	reference := regexp.MustCompile(`\$\{([A-Z_]+)(:[-?])([^}]*)\}`)
	text = reference.ReplaceAllFunc(text, func(b []byte) []byte {
		m := reference.FindSubmatch(b)
		value, given := variables[string(m[1])]
		if !given {
			require.Equal(t, ":-", string(m[2]), "%s is needed, and nothing in the page makes it", m[1])
			return m[3]
		}
		return []byte(value)
	})
	require.NotContains(t, string(text), "$", "a variable of another form")
	var c composition
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	require.NoError(t, dec.Decode(&c))
	return c
}

// secrets as the page makes them for .env.
func secrets(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile(operationsPage)
	require.NoError(t, err)
	format := regexp.MustCompile(`printf '([^']*)'`).FindSubmatch(page)
	require.NotNil(t, format)
	values := []string{strings.Repeat("0a", 24), strings.Repeat("0c", 24), strings.Repeat("A", 43) + "=", strings.Repeat("0b", 24)} // as openssl rand does
	made := map[string]string{}
	for line := range strings.SplitSeq(strings.TrimSuffix(string(format[1]), `\n`), `\n`) {
		name, value, _ := strings.Cut(line, "=")
		made[name] = strings.Replace(value, "%s", values[len(made)], 1)
	}
	return made
}

// understood parses a command line of the image as hookline does.
func understood(t *testing.T, environment map[string]string, args ...string) *CLI {
	t.Helper()
	for name, value := range environment {
		require.NoError(t, checkEnvironment([]string{name + "="}))
		t.Setenv(name, value)
	}
	var cli CLI
	parser, err := kong.New(&cli, kong.BindTo(context.Background(), (*context.Context)(nil)), kong.Bind(streams{}))
	require.NoError(t, err)
	_, err = parser.Parse(args)
	require.NoError(t, err, "%v", args)
	return &cli
}

// What starts with docker compose up fits together, and is what serve takes.
func TestComposeFile(t *testing.T) {
	env := secrets(t)
	c := compose(t, env)
	require.Len(t, c.Services, 5)
	published := map[string]bool{}
	for name, s := range c.Services {
		for n := range s.Networks {
			require.Contains(t, c.Networks, n, name)
		}
		for _, v := range s.Volumes {
			from, to, _ := strings.Cut(v, ":")
			require.Contains(t, c.Volumes, from, name)
			require.True(t, path.IsAbs(to), v)
		}
		for on, how := range s.DependsOn {
			require.NotEmpty(t, c.Services[on].Healthcheck.Test, on)
			require.Equal(t, "service_healthy", how.Condition)
		}
		for _, p := range s.Ports {
			parts := strings.Split(p, ":")
			require.Len(t, parts, 3)
			require.Equal(t, "127.0.0.1", parts[0], "nothing is open to all")
			require.False(t, published[parts[1]], p)
			published[parts[1]] = true
		}
		if s.Build != "" {
			require.True(t, s.ReadOnly, name)
			require.Equal(t, []string{"ALL"}, s.CapDrop, name)
		}
	}

	db := c.Services["postgres"]
	major, err := strconv.Atoi(strings.TrimPrefix(db.Image, "postgres:"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, major, 15)

	first, second := c.Services["hub1"], c.Services["hub2"]
	ports := []string{first.Ports[0], second.Ports[0]}
	first.Ports, second.Ports = nil, nil
	require.Equal(t, first, second, "two of the same")
	cfg := understood(t, first.Environment, "serve").Serve.Config
	at, err := url.Parse(cfg.DatabaseURL)
	require.NoError(t, err)
	require.Contains(t, c.Services, at.Hostname())
	require.Contains(t, first.DependsOn, at.Hostname())
	require.Subset(t, first.Networks.names(), db.Networks.names())
	password, _ := at.User.Password()
	require.Equal(t, []string{db.Environment["POSTGRES_USER"], db.Environment["POSTGRES_PASSWORD"], "/" + db.Environment["POSTGRES_DB"]},
		[]string{at.User.Username(), password, at.Path})
	at, err = url.Parse(cfg.AMQPURL)
	require.NoError(t, err)
	broker := c.Services[at.Hostname()]
	require.Subset(t, first.Networks.names(), broker.Networks.names())
	password, _ = at.User.Password()
	require.Equal(t, []string{broker.Environment["RABBITMQ_DEFAULT_USER"], broker.Environment["RABBITMQ_DEFAULT_PASS"], "/" + broker.Environment["RABBITMQ_DEFAULT_VHOST"]},
		[]string{at.User.Username(), password, at.Path})
	_, err = signing.ParseMasterKey(cfg.MasterKey)
	require.NoError(t, err)
	require.Regexp(t, `^hk_platform_[0-9A-Za-z-]{16,128}$`, cfg.PlatformKey)
	require.Greater(t, first.StopGracePeriod, cfg.ShutdownTimeout)
	_, port, err := net.SplitHostPort(cfg.Addr)
	require.NoError(t, err)
	for _, p := range ports {
		require.True(t, strings.HasSuffix(p, ":"+port), p)
	}
	folder := strings.TrimPrefix(cfg.BlobURL, "file://")
	require.True(t, slices.ContainsFunc(first.Volumes, func(v string) bool {
		_, to, _ := strings.Cut(v, ":")
		return strings.HasPrefix(folder, to+"/")
	}), "recordings are kept, and both hubs see them")

	// Pushes may reach the sink and nothing else: its address is its own, and no container
	// without one can get it.
	sink := c.Services["sink"]
	require.Len(t, cfg.AllowNetworks, 1)
	open := netip.MustParsePrefix(cfg.AllowNetworks[0])
	require.True(t, open.IsSingleIP())
	require.Len(t, sink.Networks, 1)
	shared := sink.Networks.names()[0]
	require.Equal(t, open.Addr().String(), sink.Networks[shared])
	addresses := c.Networks[shared].IPAM.Config[0]
	require.True(t, netip.MustParsePrefix(addresses.Subnet).Contains(open.Addr()))
	require.False(t, netip.MustParsePrefix(addresses.Range).Contains(open.Addr()))
	require.Contains(t, first.Networks, shared)
	require.NotContains(t, db.Networks, shared)
	require.NotContains(t, broker.Networks, shared)
	listens := understood(t, nil, sink.Command...).Sink.Addr
	_, port, err = net.SplitHostPort(listens)
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(sink.Ports[0], ":"+port))
	require.Equal(t, []string{"CMD", "/hookline"}, sink.Healthcheck.Test[:2])
	asks, err := url.Parse(understood(t, nil, sink.Healthcheck.Test[2:]...).Health.URL)
	require.NoError(t, err)
	require.Equal(t, port, asks.Port())
}

// The image runs what this module builds, as nobody, and knows whether it is well.
func TestDockerfile(t *testing.T) {
	raw, err := os.ReadFile("../../Dockerfile")
	require.NoError(t, err)
	text := string(raw)
	mod, err := os.ReadFile("../../go.mod")
	require.NoError(t, err)
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod)
	require.Contains(t, text, "FROM golang:"+string(version[1])+" AS build\n")
	require.Contains(t, text, "CGO_ENABLED=0 go build")
	_, image, found := strings.Cut(text, "\nFROM scratch\n")
	require.True(t, found)
	require.Regexp(t, `(?m)^USER [1-9]\d*:[1-9]\d*$`, image)
	require.Contains(t, image, "ca-certificates.crt")
	require.NotContains(t, image, "\nRUN ", "there is no shell")

	env := map[string]string{}
	for kv := range strings.FieldsSeq(regexp.MustCompile(`(?m)^ENV (.*)$`).FindStringSubmatch(image)[1]) {
		name, value, _ := strings.Cut(kv, "=")
		env[name] = value
	}
	cfg := understood(t, env, "serve").Serve.Config
	require.Contains(t, image, "VOLUME "+cfg.Data+"\n")
	require.Regexp(t, `COPY --from=build --chown=\d+:\d+ `+cfg.Data+" "+cfg.Data, image)
	_, port, err := net.SplitHostPort(cfg.Addr)
	require.NoError(t, err)
	_, scrape, err := net.SplitHostPort(cfg.MetricsAddr)
	require.NoError(t, err)
	require.Contains(t, image, "EXPOSE "+port+" "+scrape+"\n")
	probe := regexp.MustCompile(`(?m)^HEALTHCHECK .* CMD \["/hookline", "(\w+)"\]$`).FindStringSubmatch(image)
	require.NotNil(t, probe)
	health := understood(t, env, probe[1]).Health
	u, err := health.probe()
	require.NoError(t, err)
	require.Equal(t, "http://127.0.0.1:"+port+"/readyz", u.String())
}
