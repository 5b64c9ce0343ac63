//! Who comes in, and what every answer says to the browser.

use std::time::Instant;

use axum::{
    Form,
    body::Body,
    extract::{Extension, FromRequest as _, Query, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Redirect, Response},
};
use serde::Deserialize;

use super::{
    Page,
    failure::Failed,
    session::{Secret, is_same},
    words::Language,
};

/// Everything comes from the page's own origin, nothing stands in the markup, nobody frames it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The header by which browsers say where a request comes from.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The cookie that keeps the language.
const LANGUAGE_COOKIE: &str = "chorus-language";

/// Whoever looks at a page.
#[derive(Clone)]
pub(super) struct Visit {
    /// What their forms show; empty if nobody is in.
    pub(super) csrf: Secret,
    /// The name of their session.
    session: Secret,
    /// Their language.
    pub(super) language: Language,
    /// Where they are: a path with its query.
    pub(super) path: String,
}

/// The fields of a posted form that has shown the session's token.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Returns the value of a field, trimmed; empty if there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value.trim())
    }

    /// Returns whether a box is ticked.
    pub(super) fn is_on(&self, name: &str) -> bool {
        !self.text(name).is_empty()
    }

    /// Returns the number in a field.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.text(name).parse().ok()
    }
}

/// Lets in who may come in, reads what is posted, and makes a page of what fails.
pub(super) async fn guard(State(page): State<Page>, request: Request, next: Next) -> Response {
    let visit = visit(&page, &request);
    let response = match check(&page, &visit, request).await {
        Ok(mut request) => {
            request.extensions_mut().insert(visit.clone());
            next.run(request).await
        }
        Err(failed) => failed.into_response(),
    };
    let mut response = match response.extensions().get::<Failed>().cloned() {
        Some(failed) => page.failure(&visit, &failed).await,
        None if is_bare(&response) => page.failure(&visit, &Failed::Form(response.status())).await,
        None => response,
    };
    secure(response.headers_mut());
    response
}

/// Returns whether an answer is a refusal in the framework's own words: of a path or a query that does not read.
fn is_bare(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    response.status().is_client_error() && kind.is_none_or(|kind| kind.starts_with("text/plain"))
}

/// Returns who asks: a session if the cookie names one, and else nobody.
fn visit(page: &Page, request: &Request) -> Visit {
    let headers = request.headers();
    let session = cookie(headers, &page.session_cookie()).unwrap_or_default();
    let csrf = page.sessions.csrf(session, Instant::now()).unwrap_or_default();
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let chosen = cookie(headers, LANGUAGE_COOKIE).and_then(Language::of_tag);
    Visit {
        csrf,
        session: session.to_owned().into(),
        language: chosen.unwrap_or_else(|| Language::accepted(accepted)),
        path: request.uri().path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
    }
}

async fn check(page: &Page, visit: &Visit, request: Request) -> Result<Request, Failed> {
    page.gate.check_host(&request)?;
    let path = request.uri().path();
    // Style and scripts tell nothing, and a link is its own key.
    let is_open = request.method() == Method::GET && (path == "/enter" || path.starts_with("/assets/"));
    if !is_open && visit.csrf.is_empty() {
        return Err(Failed::Outside);
    }
    match *request.method() {
        Method::GET | Method::HEAD => Ok(request),
        _ => posted(page, visit, request).await,
    }
}

/// Reads a form, which must come from the page and show the session's token.
async fn posted(page: &Page, visit: &Visit, request: Request) -> Result<Request, Failed> {
    if !page.is_own(request.headers()) {
        return Err(Failed::Foreign);
    }
    let (parts, body) = request.into_parts();
    let form = Request::from_parts(parts.clone(), body);
    let Form(fields) = Form::<Vec<(String, String)>>::from_request(form, &())
        .await
        .map_err(|rejected| Failed::Form(rejected.status()))?;
    let fields = Fields(fields);
    if visit.csrf.is_empty() || !is_same(fields.text("csrf"), &visit.csrf) {
        return Err(Failed::Foreign);
    }
    let mut request = Request::from_parts(parts, Body::empty());
    request.extensions_mut().insert(fields);
    Ok(request)
}

impl Page {
    /// Browsers keep cookies by host alone, and several nodes may run on this one.
    fn session_cookie(&self) -> String {
        format!("chorus-{}", self.gate.port())
    }

    /// Returns whether a browser says that a request comes from a page of this server.
    fn is_own(&self, headers: &HeaderMap) -> bool {
        let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
        let host = text(header::HOST).unwrap_or_default();
        let site = text(FETCH_SITE).is_none_or(|site| site == "same-origin");
        let origin = text(header::ORIGIN).is_none_or(|origin| origin.strip_prefix("http://") == Some(host));
        let says_something = headers.contains_key(FETCH_SITE) || headers.contains_key(header::ORIGIN);
        says_something && site && origin
    }
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value)
}

fn secure(headers: &mut HeaderMap) {
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // Others learn nothing of where a link stands; the page itself must, or browsers would hide the origin of its forms.
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// The query of a link.
#[derive(Deserialize)]
pub(super) struct Entering {
    #[serde(default)]
    token: String,
}

/// `GET /enter`: uses a link up, and begins a session.
pub(super) async fn enter(
    State(page): State<Page>,
    Extension(visit): Extension<Visit>,
    Query(entering): Query<Entering>,
) -> Result<Response, Failed> {
    match page.sessions.enter(&entering.token, Instant::now()) {
        Some(session) => {
            let name = page.session_cookie();
            let cookie = format!("{name}={}; Path=/; HttpOnly; SameSite=Strict", session.as_str());
            Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response())
        }
        // Whoever is in already, and comes again by the old link, needs no other.
        None if !visit.csrf.is_empty() => Ok(Redirect::to("/").into_response()),
        None => Err(Failed::Link),
    }
}

/// `POST /leave`: ends the session.
pub(super) async fn leave(State(page): State<Page>, Extension(visit): Extension<Visit>) -> Response {
    page.sessions.leave(&visit.session);
    let cookie = format!("{}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0", page.session_cookie());
    ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
}

/// `POST /language`: chooses the language, and goes back.
pub(super) async fn choose_language(Extension(fields): Extension<Fields>) -> Result<Response, Failed> {
    let language = Language::of_tag(fields.text("language")).ok_or(Failed::Form(StatusCode::BAD_REQUEST))?;
    let back = fields.text("back");
    // A path of this server and nothing else: "//host" and "/\host" are other servers to browsers.
    let is_path = back.starts_with('/') && !back.starts_with("//") && !back.contains('\\');
    let cookie = format!("{LANGUAGE_COOKIE}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age=31536000", language.tag());
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(if is_path { back } else { "/" })).into_response())
}
