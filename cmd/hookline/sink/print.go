package sink

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"
	"unicode/utf8"
)

// Printer shows pushes as they come, one line each, for people or as JSON.
type Printer struct {
	Out  io.Writer
	JSON bool // print everything, as one object a line
	Body bool // print, without JSON, the whole plain body below the line

	mu sync.Mutex
}

// Print shows one push. It is safe for several goroutines.
func (pr *Printer) Print(p *Push) {
	var b bytes.Buffer
	if pr.JSON {
		printJSON(&b, p)
	} else {
		pr.printLine(&b, p)
	}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	_, _ = b.WriteTo(pr.Out) // a closed pipe ends the process anyway
}

// lineBody is how much of a body fits on a line, in bytes.
const lineBody = 80

func (pr *Printer) printLine(b *bytes.Buffer, p *Push) {
	fmt.Fprintf(b, "%s %-16s seq=%-5d try=%d %s sign=%s",
		p.At.Format("15:04:05.000"), p.Type, p.Seq, max(p.Attempt, 1), p.ID, p.Verdict)
	if p.Encryption != "" {
		b.WriteString(" " + p.Encryption)
	}
	for _, mark := range []struct {
		on   bool
		text string
	}{{p.Late, "late"}, {p.Replay, "replay"}, {p.Duplicate, "duplicate"}} {
		if mark.on {
			b.WriteString(" " + mark.text)
		}
	}

	if p.Status == 0 {
		b.WriteString(" -> no answer")
	} else {
		fmt.Fprintf(b, " -> %d", p.Status)
	}
	if p.Error != "" {
		fmt.Fprintf(b, " (%s)", p.Error)
	}

	if !pr.Body {
		b.WriteByte(' ')
		b.Write(printable(p.Body, lineBody))
	}
	b.WriteByte('\n')
	if pr.Body {
		start := b.Len()
		if err := json.Indent(b, p.Body, "  ", "  "); err != nil {
			b.Truncate(start)
			b.Write(printable(p.Body, len(p.Body)))
		}
		b.WriteByte('\n')
	}

	if p.Inversion {
		b.WriteString(Shout(p))
	}
}

// Shout returns the line that reports an inversion.
func Shout(p *Push) string {
	return fmt.Sprintf("!!! INVERSION %s: sequence %d came after %d (%s %s)\n", p.OrderKey, p.Seq, p.After, p.Type, p.ID)
}

// printable returns at most n bytes of body, in whole characters and without control
// characters: a body must not be able to move the cursor of a terminal.
func printable(body []byte, n int) []byte {
	cut := len(body) > n
	if cut {
		for n > 0 && !utf8.RuneStart(body[n]) {
			n--
		}
		body = body[:n]
	}
	out := bytes.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f && c < 0xa0 {
			return ' '
		}
		return c
	}, body)
	if cut {
		out = append(out, "…"...)
	}
	return out
}

func printJSON(b *bytes.Buffer, p *Push) {
	body := json.RawMessage(p.Body)
	if !json.Valid(body) {
		body, _ = json.Marshal(string(p.Body)) // cannot fail for a string
	}

	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(struct { // cannot fail for plain values
		Time       time.Time       `json:"time"`
		ID         string          `json:"id"`
		EventID    string          `json:"eventId"`
		Type       string          `json:"type"`
		Sequence   int64           `json:"sequence"`
		Attempt    int             `json:"attempt"`
		Try        int             `json:"try"`
		OrderKey   string          `json:"orderKey"`
		Late       bool            `json:"late"`
		Replay     bool            `json:"replay"`
		Duplicate  bool            `json:"duplicate"`
		Inversion  bool            `json:"inversion"`
		Encryption string          `json:"encryption,omitempty"`
		Verdict    Verdict         `json:"verdict"`
		Error      string          `json:"error,omitempty"`
		Status     int             `json:"status"`
		Body       json.RawMessage `json:"body"`
	}{
		p.At, p.ID, p.EventID, p.Type, p.Seq, p.Attempt, p.Try, p.OrderKey, p.Late, p.Replay, p.Duplicate, p.Inversion,
		p.Encryption, p.Verdict, p.Error, p.Status, body,
	})
}
