<?php
// The login that all pages share. A site of your own has one already: only user() matters to Holdfast.

/**
 * The options of the session. Forms of other sites come without its cookie (SameSite), so no page needs a token of its own;
 * but a login needs no cookie, so login.php asks whose form it was.
 */
function start_session(array $options = []): void {
    session_start($options + [
        'name' => 'example',
        'cookie_httponly' => true,
        'cookie_samesite' => 'Lax',
        'cookie_secure' => !empty($_SERVER['HTTPS']),
        'use_strict_mode' => true,
    ]);
}

/** The name of the logged-in user, or null. The session is not kept locked: a page sends several requests at a time. */
function user(): ?string {
    if (!isset($_COOKIE['example'])) return null;
    start_session(['read_and_close' => true]);
    return $_SESSION['user'] ?? null;
}

/** Whether a page of another site sent the form: it could make a visitor go on as another user, and write as that. */
function is_of_other_site(): bool {
    $origin = $_SERVER['HTTP_ORIGIN'] ?? null;
    return $origin !== null && preg_replace('#^https?://#', '', $origin) !== $_SERVER['HTTP_HOST'];
}

/** The users of the example, each with what password_hash() made of the password, which is "secret". */
const USERS = [
    'ann' => '$2y$10$jLPcpbQ.X9bySqm7yvZgwOYpM7KLnE/R/kvbEAUAnhqrXhzZr7H1y',
    'bob' => '$2y$10$2NCbpOzcggeWZ00mnSLVoeOBp5EmW8fIqhGWk670ZR5GGXGW4r5Gy',
];

function is_password_of(string $user, string $password): bool {
    return password_verify($password, USERS[$user] ?? USERS['ann']) && isset(USERS[$user]);
}

function html(string $text): string {
    return htmlspecialchars($text, ENT_QUOTES | ENT_SUBSTITUTE, 'UTF-8');
}

function go_to(string $page): never {
    header("Location: $page", true, 303);
    exit;
}
