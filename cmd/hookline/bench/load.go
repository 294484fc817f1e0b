package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// load posts events to hubs, or bodies to a sink.
type load struct {
	urls        []string // taken in turn
	key         string
	connections int
	run         int    // in the mark of each event
	ids         bool   // events carry the sender's ids
	bare        bool   // it posts bodies as they are pushed, not envelopes
	typ         string // of the events
	client      *http.Client
	pushedBack  atomic.Int64 // requests answered 429 or 503, sent again
}

func newLoad(urls []string, key string, connections int) *load {
	transport := &http.Transport{
		MaxIdleConns: connections, MaxIdleConnsPerHost: connections, DisableCompression: true,
	}
	return &load{
		urls: urls, key: key, typ: typeAlive, connections: connections,
		client: &http.Client{Transport: transport, Timeout: 30 * time.Second},
	}
}

// flood sends all events as fast as they are taken. A request has batch of them.
func (l *load) flood(ctx context.Context, events, batch int) error {
	defer l.client.CloseIdleConnections()
	g, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for i := range l.connections {
		g.Go(func() error {
			var body []byte
			url := l.urls[i%len(l.urls)]
			for ctx.Err() == nil {
				to := int(next.Add(int64(batch)))
				from := to - batch
				if from >= events {
					return nil
				}
				body = l.request(body[:0], from, min(to, events), time.Now())
				if err := l.post(ctx, url, body); err != nil {
					return err
				}
			}
			return ctx.Err()
		})
	}
	return g.Wait()
}

// pace sends events at an even rate, each in a request of its own. Each leaves on
// time, even if earlier ones are still waiting for their answers: otherwise a slow
// hub would delay the requests that measure how slow it is.
func (l *load) pace(ctx context.Context, events, rate int) error {
	defer l.client.CloseIdleConnections()
	g, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := range events {
		due := began.Add(time.Duration(i) * time.Second / time.Duration(rate))
		timer.Reset(time.Until(due))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return errors.Join(g.Wait(), ctx.Err())
		}
		g.Go(func() error {
			return l.post(ctx, l.urls[i%len(l.urls)], l.request(nil, i, i+1, time.Now()))
		})
	}
	return g.Wait()
}

// post sends one request, again and again until it is taken.
func (l *load) post(ctx context.Context, url string, body []byte) error {
	for {
		status, answer, err := l.once(ctx, url, body)
		switch {
		case err != nil:
			return err
		case status >= 200 && status < 300 && status != http.StatusMultiStatus:
			return nil
		case status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable:
			return fmt.Errorf("answer %d: %.300s", status, answer)
		}
		l.pushedBack.Add(1)
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// once sends one request. It returns the body of the answer only if the status is
// not a success.
func (l *load) once(ctx context.Context, url string, body []byte) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if l.key != "" {
		req.Header.Set("Authorization", "Bearer "+l.key)
	}

	resp, err := l.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	buf := buffers.Get().(*bytes.Buffer)
	defer func() {
		buf.Reset()
		buffers.Put(buf)
	}()
	if _, err := buf.ReadFrom(resp.Body); err != nil {
		return 0, nil, err
	}
	if resp.StatusCode < 300 {
		return resp.StatusCode, nil, nil
	}
	return resp.StatusCode, bytes.Clone(buf.Bytes()), nil
}

// buffers are for reading answers and pushes.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// request appends the events from <= n < to as one request body.
func (l *load) request(b []byte, from, to int, now time.Time) []byte {
	if l.bare {
		return l.body(b, from, now)
	}
	if to-from > 1 {
		b = append(b, '[')
	}

	for n := from; n < to; n++ {
		if n > from {
			b = append(b, ',')
		}
		b = append(b, '{')
		if l.ids {
			b = append(b, `"id":"bench-`...)
			b = strconv.AppendInt(b, int64(l.run), 10)
			b = append(b, '-')
			b = strconv.AppendInt(b, int64(n), 10)
			b = append(b, `",`...)
		}
		b = append(b, `"type":"`...)
		b = append(b, l.typ...)
		b = append(b, `","data":`...)
		b = append(l.body(b, n, now), '}')
	}

	if to-from > 1 {
		b = append(b, ']')
	}
	return b
}

// body appends the body of event n, as pushed: a call record of about 1 KB. Each
// record is of another call, so no event has to wait for another one's delivery.
func (l *load) body(b []byte, n int, now time.Time) []byte {
	ms := now.UnixMilli()
	b = append(b, `{"companyId":"demo","callID":"6bf3cbb1ade54dcd9bf2`...)
	b = appendPadded(b, int64(l.run), 4)
	b = appendPadded(b, int64(n), 8)
	b = append(b, `","benchMark":"`...)
	b = appendMark(b, l.run, n, now.UnixNano())
	b = append(b, `","creationTime":`...)
	b = strconv.AppendInt(b, ms, 10)
	b = append(b, `,"startTime":`...)
	b = strconv.AppendInt(b, ms-158_000, 10)
	b = append(b, `,"answerTime":`...)
	b = strconv.AppendInt(b, ms-157_600, 10)
	b = append(b, `,"bridgeTime":`...)
	b = strconv.AppendInt(b, ms-144_000, 10)
	b = append(b, `,"endTime":`...)
	b = strconv.AppendInt(b, ms, 10)
	return append(b, rest...)
}

// rest is the part of a body that is the same in every event.
const rest = `,"callType":2,"mainDialType":"Inbound","screenNumber":"13911110001","customerNumber":"13911110001",` +
	`"encryptCustomerNumber":"139****0001","areaCode":"010","areaProvince":"Beijing","areaCity":"Beijing",` +
	`"customerId":"c-20418","gatewayNumber":"01088881234","duration":144,"totalDuration":158,"callResult":8,` +
	`"hangupDisposition":3,"attachedData":{"customerName":"Li Na","ticket":"T-20211116-118"},"feeSeconds":158,` +
	`"feeMinutes":3,"firstRouteId":"r-7","firstRouteName":"Service hotline","belongAgentUUID":"f0a5c1d2e3b44a69a8b7c6d5e4f30201","belongAgentID":"1001",` +
	`"belongAgentName":"Tom","belongAgentDN":"1001","transferCount":0,"consultCount":0,` +
	`"firstAgentUUID":"f0a5c1d2e3b44a69a8b7c6d5e4f30201","firstAgentID":"1001","firstAgentName":"Tom","sourceType":0,"fee":0.45}`

// A mark in a body says which event it is and when it was sent:
// <run>/<number>/<Unix ns>, with leading zeros.
const (
	markField = `"benchMark":"`
	markSize  = 4 + 1 + 8 + 1 + 19
)

func appendMark(b []byte, run, n int, ns int64) []byte {
	b = append(appendPadded(b, int64(run), 4), '/')
	b = append(appendPadded(b, int64(n), 8), '/')
	return appendPadded(b, ns, 19)
}

// appendPadded appends v, which has at most width digits, with leading zeros.
func appendPadded(b []byte, v int64, width int) []byte {
	for range width {
		b = append(b, '0')
	}
	for i := len(b) - 1; v > 0; i-- {
		b[i] = '0' + byte(v%10)
		v /= 10
	}
	return b
}

// readMark finds the mark of a body.
func readMark(body []byte) (run, n int, ns int64, ok bool) {
	i := bytes.Index(body, []byte(markField))
	if i < 0 || len(body) < i+len(markField)+markSize {
		return 0, 0, 0, false
	}
	m := body[i+len(markField):][:markSize]
	runPart, okRun := number(m[:4])
	nPart, okN := number(m[5:13])
	ns, okNs := number(m[14:])
	return int(runPart), int(nPart), ns, okRun && okN && okNs && m[4] == '/' && m[13] == '/'
}

func number(digits []byte) (n int64, ok bool) {
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
