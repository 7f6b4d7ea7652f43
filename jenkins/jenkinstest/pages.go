package jenkinstest

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
)

const htmlType = "text/html;charset=utf-8"

// jettyError is the error page of the servlet container.
func (c *call) jettyError(status int, message string) *reply {
	m := html.EscapeString(message)
	head := fmt.Sprintf("<html>\n<head>\n<meta http-equiv=\"Content-Type\" content=\"text/html;charset=utf-8\"/>\n"+
		"<title>Error %d %s</title>\n</head>\n<body><h2>HTTP ERROR %d %s</h2>\n", status, m, status, m)
	table := fmt.Sprintf("<table>\n<tr><th>URI:</th><td>%s</td></tr>\n<tr><th>STATUS:</th><td>%d</td></tr>\n"+
		"<tr><th>MESSAGE:</th><td>%s</td></tr>\n<tr><th>SERVLET:</th><td>Stapler</td></tr>\n</table>\n",
		html.EscapeString(c.r.URL.EscapedPath()), status, m)
	foot := "<hr/><a href=\"https://jetty.org/\">Powered by Jetty:// 12.1.2</a><hr/>\n\n</body>\n</html>\n"
	return newReply(status, "text/html;charset=iso-8859-1", []byte(head+table+foot)).
		with("Cache-Control", "must-revalidate,no-cache,no-store")
}

// page is a page in Jenkins' own layout.
func (c *call) page(status int, title, text string) *reply {
	body := fmt.Sprintf("<!DOCTYPE html><html class=\"\"><head resURL=\"/static/%s\"><title>%s - Jenkins</title></head>"+
		"<body id=\"jenkins\"><div id=\"main-panel\"><h1>%s</h1><p>%s</p></div>"+
		"<footer><a href=\"https://www.jenkins.io/\">Jenkins %s</a></footer></body></html>",
		c.s.session, html.EscapeString(title), html.EscapeString(title), html.EscapeString(text), c.s.opts.Version)
	return newReply(status, htmlType, []byte(body)).with("Cache-Control", "no-cache,no-store,must-revalidate")
}

func (c *call) notFound() *reply {
	if c.s.version.since(421) {
		return c.page(http.StatusNotFound, "Oops!",
			"This page may not exist, or you may not have permission to see it.")
	}
	return c.jettyError(http.StatusNotFound, "Not Found")
}

// oops is the page of an unhandled exception, which only the log of the server tells.
func (c *call) oops(exception string) *reply {
	c.exception = exception
	id := c.s.fresh("logging id")
	uuid := id[:8] + "-" + id[8:12] + "-" + id[12:16] + "-" + id[16:20] + "-" + id[20:32]
	return c.page(http.StatusInternalServerError, "Oops!",
		"A problem occurred while processing the request. Logging ID="+uuid)
}

// needPost answers a GET of something that changes state.
func (c *call) needPost() *reply {
	return c.page(http.StatusMethodNotAllowed, "Method Not Allowed",
		"This URL requires POST. The URL you're trying to access requires that requests be sent using POST (like a form submission).").
		with("Allow", "POST")
}

func (c *call) permissionHeaders(r *reply, p Permission) *reply {
	r.header.Set("X-You-Are-Authenticated-As", c.who.String())
	r.header.Set("X-You-Are-In-Group-Disabled", "JENKINS-39402: use -Dhudson.security.AccessDeniedException2.REPORT_GROUP_HEADERS=true or use /whoAmI to diagnose")
	r.header.Set("X-Required-Permission", permissionNames[p][0])
	r.header.Add("X-Permission-Implied-By", "hudson.security.Permission.GenericRead")
	r.header.Add("X-Permission-Implied-By", "hudson.model.Hudson.Administer")
	return r
}

// loginPage is what a browser is redirected by; its status is 403 all the same.
func (c *call) loginPage(p Permission) *reply {
	if c.r.Header.Get("X-Requested-With") == "XMLHttpRequest" {
		return c.permissionHeaders(c.jettyError(http.StatusForbidden, "Forbidden"), p)
	}
	from := c.s.url.Path + "/login?from=" + url.QueryEscape(c.r.URL.EscapedPath())
	body := fmt.Sprintf("<html><head><meta http-equiv='refresh' content='1;url=%s'/>"+
		"<script id='redirect' data-redirect-url='%s' src='/static/%s/scripts/redirect.js'></script></head>"+
		"<body style='background-color:white; color:white;'>\nAuthentication required\n<!--\n"+
		"You are authenticated as: anonymous\nGroups that you are in:\n  \n"+
		"Permission you need to have (but didn't): %s\n ... which is implied by: hudson.security.Permission.GenericRead\n"+
		" ... which is implied by: hudson.model.Hudson.Administer\n-->\n\n</body></html>",
		from, from, c.s.session, permissionNames[p][0])
	return c.permissionHeaders(newReply(http.StatusForbidden, htmlType, []byte(body)), p)
}

func (c *call) accessDenied(p Permission) *reply {
	r := c.page(http.StatusForbidden, "Access Denied",
		c.s.fullNameOf(c.who.name)+" is missing the "+permissionNames[p][1]+" permission")
	return c.permissionHeaders(r, p)
}

// phasePage is what Jenkins answers while it goes down or comes up.
func (c *call) phasePage() *reply {
	var text string
	switch c.s.phase {
	case phaseShutdown:
		text = "Please wait while Jenkins is restarting"
	case phaseBoot:
		text = "Please wait while Jenkins is getting ready to work"
	default:
		return nil
	}
	body := "<!DOCTYPE html><html><head><meta http-equiv=\"refresh\" content=\"5\"><title>Starting Jenkins</title></head>" +
		"<body id=\"jenkins\"><h1>" + text + " ...</h1><p>Your browser will reload automatically when Jenkins is ready.</p></body></html>"
	return newReply(http.StatusServiceUnavailable, htmlType, []byte(body)).
		with("Cache-Control", "no-cache,no-store,must-revalidate").with("X-Jenkins", c.s.opts.Version)
}
