package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/hookline/hookline/hub/event"
)

// SubscriptionCmd holds the commands for the subscriptions of the key's tenant.
type SubscriptionCmd struct {
	Create SubscriptionCreateCmd `cmd:"" help:"Subscribe a callback URL; its keys are shown this once."`
	List   SubscriptionListCmd   `cmd:"" help:"List the subscriptions."`
	Get    SubscriptionGetCmd    `cmd:"" help:"Show a subscription."`
	Update SubscriptionUpdateCmd `cmd:"" help:"Change a subscription."`
	Delete SubscriptionDeleteCmd `cmd:"" help:"Delete a subscription; what is pending is cancelled."`
	Pause  SubscriptionPauseCmd  `cmd:"" help:"Hold its backlog."`
	Resume SubscriptionResumeCmd `cmd:"" help:"Let its backlog drain."`

	Preview SubscriptionPreviewCmd `cmd:"" help:"Show the push that a subscription, stored or not, would get."`
	Probe   SubscriptionProbeCmd   `cmd:"" help:"Send one signed push of a sample to a subscription, stored or not."`
}

type subscriptionFlags struct {
	Name          *string           `help:"Name, unique in the tenant: the same create again shows the one that is there."`
	Description   *string           `help:"What it is for."`
	Events        []string          `help:"Types with wildcards, e.g. 'call.*,cdr.*'. Default: all."`
	AppKey        *string           `help:"Key that signs, 16 to 128 characters. Default: made by the hub."`
	Encryption    *string           `help:"none, aes-256-gcm, aes-256-cbc or aes-128-ecb."`
	EncryptionKey *string           `help:"base64 of 32 bytes, or from-appKey."`
	Ordering      *string           `help:"key or none."`
	Header        map[string]string `mapsep:"none" placeholder:"NAME=VALUE" help:"Header of every push; repeat for more."`
	TimeoutMs     *int              `help:"Bound of a push, 1000 to 30000 ms."`
	MaxInFlight   *int              `help:"Pushes at a time, 1 to 64."`
	Retry         *string           `placeholder:"JSON" help:"e.g. {\"live\": {\"schedule\": [\"1s\", \"5s\"], \"jitter\": 0.2}}"`
	GiveUpAfter   *string           `placeholder:"JSON" help:"e.g. {\"cdr\": \"96h\", \"live\": \"1h\"}"`
	File          string            `placeholder:"FILE" help:"Take the JSON of this file (- for standard input) first; flags replace its fields."`
}

// body makes the body of a request from the file, if there is one, and the flags.
func (c *subscriptionFlags) body(in io.Reader) (fields, error) {
	f := fields{}
	if c.File != "" {
		if err := readObject(c.File, in, &f); err != nil {
			return nil, err
		}
	}

	set(f, "name", c.Name)
	set(f, "description", c.Description)
	set(f, "appKey", c.AppKey)
	set(f, "encryption", c.Encryption)
	set(f, "encryptionKey", c.EncryptionKey)
	set(f, "ordering", c.Ordering)
	set(f, "timeoutMs", c.TimeoutMs)
	set(f, "maxInFlight", c.MaxInFlight)
	if c.Events != nil {
		f["events"] = c.Events
	}
	if c.Header != nil {
		f["headers"] = c.Header
	}
	return f, errors.Join(f.setJSON("retry", c.Retry), f.setJSON("giveUpAfter", c.GiveUpAfter))
}

// readObject reads a JSON object from a file, or from in if the file is -.
func readObject(file string, in io.Reader, f *fields) error {
	raw, err := io.ReadAll(io.LimitReader(in, 1<<20))
	if file != "-" {
		raw, err = os.ReadFile(file)
	}
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(event.TrimMark(raw)))
	d.UseNumber()
	if err := d.Decode(f); err != nil || *f == nil {
		return fmt.Errorf("%s: not a JSON object: %w", file, err)
	}
	return nil
}

// SubscriptionCreateCmd is POST /v1/subscriptions.
type SubscriptionCreateCmd struct {
	Remote
	Callback string `arg:"" optional:"" help:"Callback URL, http or https."`
	subscriptionFlags
}

// Run makes the subscription.
func (c *SubscriptionCreateCmd) Run(ctx context.Context, s streams) error {
	f, err := c.body(s.in)
	if err != nil {
		return err
	}
	if c.Callback != "" {
		f["url"] = c.Callback
	}
	raw, err := c.call(ctx, http.MethodPost, "/v1/subscriptions", f, 0)
	if err != nil {
		return err
	}
	return c.show(s.out, raw)
}

// SubscriptionListCmd is GET /v1/subscriptions.
type SubscriptionListCmd struct{ Remote }

// Run lists the subscriptions.
func (c *SubscriptionListCmd) Run(ctx context.Context, s streams) error {
	rows, err := c.list(ctx, "/v1/subscriptions")
	if err != nil {
		return err
	}
	return c.table(s.out, rows, "id", "name", "url", "events", "state", "hold.reason", "breaker.state", "version")
}

// SubscriptionGetCmd is GET /v1/subscriptions/{id}.
type SubscriptionGetCmd struct {
	Remote
	ID string `arg:"" help:"Id of the subscription."`
}

// Run shows the subscription.
func (c *SubscriptionGetCmd) Run(ctx context.Context, s streams) error {
	raw, err := c.call(ctx, http.MethodGet, subscriptionPath(c.ID), nil, 0)
	if err != nil {
		return err
	}
	return c.show(s.out, raw)
}

// SubscriptionUpdateCmd is PATCH /v1/subscriptions/{id}.
type SubscriptionUpdateCmd struct {
	Remote
	ID       string  `arg:"" help:"Id of the subscription."`
	Callback *string `placeholder:"URL" help:"New callback URL."`
	subscriptionFlags
	IfVersion int64 `help:"Only if it still has this version."`
}

// Run changes the subscription.
func (c *SubscriptionUpdateCmd) Run(ctx context.Context, s streams) error {
	f, err := c.body(s.in)
	if err != nil {
		return err
	}
	set(f, "url", c.Callback)
	raw, err := c.call(ctx, http.MethodPatch, subscriptionPath(c.ID), f, c.IfVersion)
	if err != nil {
		return err
	}
	return c.show(s.out, raw)
}

// SubscriptionDeleteCmd is DELETE /v1/subscriptions/{id}.
type SubscriptionDeleteCmd struct {
	Remote
	ID        string `arg:"" help:"Id of the subscription."`
	IfVersion int64  `help:"Only if it still has this version."`
}

// Run deletes the subscription.
func (c *SubscriptionDeleteCmd) Run(ctx context.Context, s streams) error {
	raw, err := c.call(ctx, http.MethodDelete, subscriptionPath(c.ID), nil, c.IfVersion)
	if err != nil {
		return err
	}
	return c.done(s.out, raw, "deleted "+c.ID)
}

// SubscriptionPauseCmd is POST /v1/subscriptions/{id}/pause.
type SubscriptionPauseCmd struct {
	Remote
	ID string `arg:"" help:"Id of the subscription."`
}

// Run pauses the subscription.
func (c *SubscriptionPauseCmd) Run(ctx context.Context, s streams) error {
	raw, err := c.call(ctx, http.MethodPost, subscriptionPath(c.ID)+"/pause", nil, 0)
	if err != nil {
		return err
	}
	return c.done(s.out, raw, "paused "+c.ID)
}

// SubscriptionResumeCmd is POST /v1/subscriptions/{id}/resume.
type SubscriptionResumeCmd struct {
	Remote
	ID string `arg:"" help:"Id of the subscription."`
}

// Run resumes the subscription.
func (c *SubscriptionResumeCmd) Run(ctx context.Context, s streams) error {
	raw, err := c.call(ctx, http.MethodPost, subscriptionPath(c.ID)+"/resume", nil, 0)
	if err != nil {
		return err
	}
	return c.done(s.out, raw, "resumed "+c.ID)
}

func subscriptionPath(id string) string { return "/v1/subscriptions/" + url.PathEscape(id) }

// candidate is a subscription that is stored, or one that flags describe.
type candidate struct {
	Subscription string `arg:"" optional:"" help:"Id of a subscription, or a callback URL, whose other fields are flags."`
	subscriptionFlags
}

// field returns the subscription as previews and probes take it.
func (c *candidate) field(in io.Reader) (any, error) {
	f, err := c.body(in)
	if err != nil {
		return nil, err
	}
	if c.Subscription == "" && len(f) > 0 {
		return f, nil // the file has its URL
	}
	if !strings.Contains(c.Subscription, "://") {
		return c.Subscription, nil
	}
	f["url"] = c.Subscription
	return f, nil
}

// SubscriptionPreviewCmd is POST /v1/previews.
type SubscriptionPreviewCmd struct {
	Remote
	candidate
	Type     *string `xor:"of" help:"Show the push of the sample of this type. Default: hub.test."`
	Event    *string `xor:"of" help:"Show the push of this event."`
	Delivery *string `xor:"of" help:"Show the next push of this delivery, whose subscription need not be given."`
}

// Run shows the push.
func (c *SubscriptionPreviewCmd) Run(ctx context.Context, s streams) error {
	body := fields{}
	set(body, "type", c.Type)
	set(body, "event", c.Event)
	set(body, "delivery", c.Delivery)
	if c.Delivery == nil || c.Subscription != "" {
		sub, err := c.field(s.in)
		if err != nil {
			return err
		}
		body["subscription"] = sub
	}
	raw, err := c.call(ctx, http.MethodPost, "/v1/previews", body, 0)
	if err != nil {
		return err
	}
	return c.show(s.out, raw)
}

// SubscriptionProbeCmd is POST /v1/probes.
type SubscriptionProbeCmd struct {
	Remote
	candidate
	Type *string `help:"Send the sample of this type. Default: hub.test."`
}

// Run sends the push and shows what became of it.
func (c *SubscriptionProbeCmd) Run(ctx context.Context, s streams) error {
	body := fields{}
	set(body, "type", c.Type)
	sub, err := c.field(s.in)
	if err != nil {
		return err
	}
	body["subscription"] = sub
	raw, err := c.call(ctx, http.MethodPost, "/v1/probes", body, 0)
	if err != nil {
		return err
	}
	return c.show(s.out, raw)
}
