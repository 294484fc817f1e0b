<?php
// A receiver of Hookline's pushes for PHP 8 with the extensions openssl and
// pdo_sqlite (Debian: php-cli, php-sqlite3).
//
//   COMPANY_ID=demo APP_KEY=… ENCRYPTION_KEY=… php -S 127.0.0.1:9000 receiver.php

// signed says whether the bytes are those that Hookline signed.
function signed(array $headers, string $body): bool
{
    $text = ($headers['webhook-id'] ?? '') . '.' . ($headers['webhook-timestamp'] ?? '') . '.' . $body;
    $want = 'v1,' . base64_encode(hash_hmac('sha256', $text, getenv('APP_KEY'), true));
    foreach (explode(' ', $headers['webhook-signature'] ?? '') as $given) { // several while a key is rotated
        if (hash_equals($want, $given)) {
            return true;
        }
    }
    return false;
}

// unseal gives the plain body of a sealed one, false when the key does not fit.
function unseal(array $headers, string $body): string|false
{
    $kind = $headers['x-hookline-encryption'] ?? '';
    if ($kind === '') {
        return $body;
    }
    $raw = base64_decode(json_decode($body, true)['content']);
    $key = base64_decode(getenv('ENCRYPTION_KEY'));
    switch ($kind) {
        case 'aes-256-gcm': // nonce, text, tag; bound to the headers of this push
            $bound = getenv('COMPANY_ID') . $headers['x-log-timestamp'] . $headers['x-log-randomcode'];
            return openssl_decrypt(substr($raw, 12, -16), $kind, $key, OPENSSL_RAW_DATA, substr($raw, 0, 12), substr($raw, -16), $bound);
        case 'aes-256-cbc': // iv, text
            return openssl_decrypt(substr($raw, 16), $kind, $key, OPENSSL_RAW_DATA, substr($raw, 0, 16));
        case 'aes-128-ecb':
            return openssl_decrypt($raw, $kind, substr($key, 0, 16), OPENSSL_RAW_DATA);
    }
    return false;
}

// orderKey names what an event is about; sequence grows within it. An id may be
// a text or a number of any length, or null.
function orderKey(string $event, array $b): string
{
    $id = fn(string $name): string => is_string($b[$name] ?? null) || is_int($b[$name] ?? null) ? trim((string) $b[$name]) : '';
    $kind = explode('.', $event)[0];
    if ($kind === 'cdr') {
        return $event . '/' . $id('callID') . '/' . $id('partyId');
    }
    foreach (['contactId', 'chatId', 'visitorId', 'callID', 'agentUUID', 'agentID'] as $name) {
        if ($id($name) !== '') {
            return $kind . '/' . $id($name);
        }
    }
    return $kind;
}

function receive(array $headers, string $body): int
{
    // 1. The signature, before anything that the push says is believed.
    if (!signed($headers, $body)) {
        return 401;
    }
    // 2. The time: a push recorded long ago is not played back to us.
    if (abs(time() - (int) $headers['webhook-timestamp']) > 300) {
        return 401;
    }
    $plain = unseal($headers, $body);
    if ($plain === false) {
        return 500; // our key is wrong: it shall come again
    }
    $sequence = (int) $headers['x-hookline-sequence'];
    $key = orderKey($headers['x-hookline-event'], json_decode($plain, true, 512, JSON_BIGINT_AS_STRING));

    // PHP forgets all between requests, so the database decides. In one
    // transaction, with what you store of the event itself:
    $db = new PDO('sqlite:' . sys_get_temp_dir() . '/receiver.db', options: [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
    $db->exec('CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY)');
    $db->exec('CREATE TABLE IF NOT EXISTS highest (key TEXT PRIMARY KEY, sequence INTEGER NOT NULL)');
    $db->exec('BEGIN IMMEDIATE');
    // 3. The id: at least once means that some come twice.
    $insert = $db->prepare('INSERT INTO seen (id) VALUES (?) ON CONFLICT DO NOTHING');
    $insert->execute([$headers['webhook-id']]);
    if ($insert->rowCount() > 0) {
        // 4. The order: what is older than what we know must not overwrite it.
        $newer = $db->prepare('INSERT INTO highest (key, sequence) VALUES (?, ?)
            ON CONFLICT (key) DO UPDATE SET sequence = excluded.sequence WHERE excluded.sequence > sequence');
        $newer->execute([$key, $sequence]);
        $word = $newer->rowCount() > 0 ? 'applied' : 'outdated'; // keep it for the record, leave the state as it is
        file_put_contents('php://stdout', "$word {$headers['x-hookline-event']} {$headers['webhook-id']} $sequence $plain\n");
    }
    $db->exec('COMMIT');
    return 200; // 5. Only now that it is stored; whatever takes long comes later.
}

http_response_code(receive(array_change_key_case(getallheaders()), file_get_contents('php://input')));
