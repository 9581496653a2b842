// libfcgi's event-driven face. Not fcgi_stdio.h, which redefines FILE, printf and stdin.
#include <fastcgi.h>
#include <fcgiapp.h>
