package hub

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	_ "gocloud.dev/blob/s3blob" // opens s3://

	"github.com/hookline/hookline/delivery"
	"github.com/hookline/hookline/hub/config"
	"github.com/hookline/hookline/hub/recording"
)

// openBlobs opens the blob store of the settings. It does not find out whether an S3
// bucket answers, because without recordings the hub still works.
func openBlobs(ctx context.Context, s *config.Settings) (*blob.Bucket, error) {
	folder := filepath.Join(s.Data, config.RecordingsFolder)
	if s.BlobURL != "" {
		u, err := url.Parse(s.BlobURL)
		if err != nil {
			return nil, fmt.Errorf("HOOKLINE_BLOB_URL: %w", err)
		}
		if u.Scheme == "s3" {
			b, err := blob.OpenBucket(ctx, s.BlobURL)
			if err != nil {
				return nil, fmt.Errorf("HOOKLINE_BLOB_URL: %w", err)
			}
			return b, nil
		}
		folder = u.Path
	}

	b, err := fileblob.OpenBucket(folder, &fileblob.Options{
		CreateDir: true, DirFileMode: 0o700, Metadata: fileblob.MetadataDontWrite,
		NoTempDir: true, // or it would rename a file from another folder, which may be on another file system
	})
	if err != nil {
		return nil, fmt.Errorf("folder of recordings: %w", err)
	}
	return b, nil
}

// library returns the library of recordings. What it fetches goes through the network
// guard of pushes.
func (h *Hub) library() *recording.Library {
	return recording.New(recording.Config{
		Store: h.db, Bucket: h.blobs, Log: h.log,
		Fetch:    h.sender.Transport,
		Limit:    func(tenant int64) int64 { return int64(h.limits(tenant).RecordingBytes) },
		Near:     func(tenant, bytes, limit int64) { h.near(tenant, "recordingBytes", bytes, limit) },
		CheckURL: func(tenant int64, u *url.URL) error { return h.guard(tenant).CheckURL(u) },
	})
}

// guard returns the network guard of what the hub sends for a tenant.
func (h *Hub) guard(tenant int64) *delivery.Guard {
	allow := append([]netip.Prefix(nil), h.cfg.Allow...)
	g := delivery.NewGuard(append(allow, h.tenantAllow(tenant)...))
	g.Self = h.self
	return g
}
