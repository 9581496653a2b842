#include "cembedded.h"

#include <string.h>

#pragma clang diagnostic ignored "-Wc23-extensions"

// #embed is a directive, which no macro can hold.
static const char chart_js[] = {
#embed "../BrowserClient/Resources/chart.js"
};
static const char chat_css[] = {
#embed "../BrowserClient/Resources/chat.css"
};
static const char chat_html[] = {
#embed "../BrowserClient/Resources/chat.html"
};
static const char chat_js[] = {
#embed "../BrowserClient/Resources/chat.js"
};
static const char client_js[] = {
#embed "../BrowserClient/Resources/client.js"
};
static const char console_css[] = {
#embed "../BrowserClient/Resources/console.css"
};
static const char console_html[] = {
#embed "../BrowserClient/Resources/console.html"
};
static const char console_js[] = {
#embed "../BrowserClient/Resources/console.js"
};
static const char here_js[] = {
#embed "../BrowserClient/Resources/here.js"
};
static const char holdfast_d_ts[] = {
#embed "../BrowserClient/Resources/holdfast.d.ts"
};
static const char index_html[] = {
#embed "../BrowserClient/Resources/index.html"
};
static const char mark_svg[] = {
#embed "../BrowserClient/Resources/mark.svg"
};
static const char page_css[] = {
#embed "../BrowserClient/Resources/page.css"
};
static const char page_js[] = {
#embed "../BrowserClient/Resources/page.js"
};
static const char status_css[] = {
#embed "../BrowserClient/Resources/status.css"
};
static const char status_html[] = {
#embed "../BrowserClient/Resources/status.html"
};
static const char status_js[] = {
#embed "../BrowserClient/Resources/status.js"
};
static const char engine_sql[] = {
#embed "../Engine/Resources/engine.sql"
};

#define FILE_OF(name, bytes) {name, {bytes, sizeof bytes}}
static const struct {
    const char *name;
    cembedded_file file;
} files[] = {
    FILE_OF("chart.js", chart_js),
    FILE_OF("chat.css", chat_css),
    FILE_OF("chat.html", chat_html),
    FILE_OF("chat.js", chat_js),
    FILE_OF("client.js", client_js),
    FILE_OF("console.css", console_css),
    FILE_OF("console.html", console_html),
    FILE_OF("console.js", console_js),
    FILE_OF("here.js", here_js),
    FILE_OF("holdfast.d.ts", holdfast_d_ts),
    FILE_OF("index.html", index_html),
    FILE_OF("mark.svg", mark_svg),
    FILE_OF("page.css", page_css),
    FILE_OF("page.js", page_js),
    FILE_OF("status.css", status_css),
    FILE_OF("status.html", status_html),
    FILE_OF("status.js", status_js),
    FILE_OF("engine.sql", engine_sql),
};

cembedded_file cembedded(const char *name) {
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (strcmp(files[i].name, name) == 0) return files[i].file;
    }
    return (cembedded_file){NULL, 0};
}
