package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"modernc.org/sqlite"

	"github.com/hookline/hookline/signing"
)

// restoreGap is how many numbers a hub leaves out that is started from a backup. The hub it
// replaces went on numbering after the backup, and receivers know a delivery by its number.
// If another event got the same number, they would take it for a duplicate and drop it.
// 2^36 is 80 days at 10,000 events a second, and event ids have room for 4,096 restores.
const restoreGap = 1 << 36

// backupPages is how many pages are copied between two looks at ctx: 16 MiB.
const backupPages = 4096

// Backup copies the store of a folder into another folder, which must exist. A process may
// serve the store: the copy is its state at one moment, with every event that was accepted
// before the call. The process is not held up, but until Backup returns the write-ahead log
// of the store only grows. When it returns, the copy is checked and on the disk. Its later
// events get numbers far above.
func Backup(ctx context.Context, dir, dest string, box *signing.Box) error {
	read, err := openReader(dir)
	if err != nil {
		return err
	}
	defer read.Close()
	if err := checkKey(ctx, read, box); err != nil {
		return err
	}

	// A read transaction of our own. Without it, every commit of the process that serves
	// the store would make the copy start over.
	conn, err := read.Connx(ctx)
	if err != nil {
		return fmt.Errorf("open the store: %w", err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
		return fmt.Errorf("begin the backup: %w", err)
	}
	defer conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") //nolint:errcheck // nothing was written
	if _, err := conn.ExecContext(ctx, "SELECT count(*) FROM meta"); err != nil {
		return fmt.Errorf("begin the backup: %w", err)
	}

	path := filepath.Join(dest, File)
	if err := ownerOnly(path); err != nil {
		return err
	}
	if err := conn.Raw(func(driver any) error { return copyPages(ctx, driver, path) }); err != nil {
		return fmt.Errorf("copy the store: %w", err)
	}
	if err := skipNumbers(ctx, path); err != nil {
		return fmt.Errorf("copy the store: %w", err)
	}
	if err := syncPath(path); err != nil {
		return err
	}
	return checkCopy(ctx, path, box)
}

// copyPages copies the database of a connection into a new file.
func copyPages(ctx context.Context, driver any, path string) error {
	source, ok := driver.(interface {
		NewBackup(uri string) (*sqlite.Backup, error)
	})
	if !ok {
		return errors.New("the driver has no online backup")
	}
	// The copy needs no journal: it is a new file, which is synced at the end.
	b, err := source.NewBackup(fileURI(path) + "?_pragma=journal_mode(OFF)&_pragma=synchronous(OFF)")
	if err != nil {
		return err
	}
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return errors.Join(err, b.Finish())
		}
		if more, err = b.Step(backupPages); err != nil {
			return errors.Join(err, b.Finish())
		}
	}
	return b.Finish()
}

// skipNumbers leaves restoreGap between the events of the copy and later ones.
func skipNumbers(ctx context.Context, path string) (err error) {
	db, err := openFile(path, "mode=rw")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }() // closing moves the write-ahead log into the file
	m, err := lastEvent(ctx, db)
	if err != nil {
		return err
	}
	m.Seq += restoreGap
	return writeHighMark(ctx, db, m)
}

// checkCopy reads the whole copy once, because a copy that cannot be read is no backup.
func checkCopy(ctx context.Context, path string, box *signing.Box) error {
	read, err := openFile(path, "mode=ro&immutable=1")
	if err != nil {
		return err
	}
	defer read.Close()
	if err := quickCheck(ctx, read); err != nil {
		return fmt.Errorf("check the copy: %w", err)
	}
	if err := checkKey(ctx, read, box); err != nil {
		return fmt.Errorf("check the copy: %w", err)
	}
	return nil
}

// syncPath waits until a file or folder is on the disk.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
