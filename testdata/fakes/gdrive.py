#!/usr/bin/env python3
# Fake of Google Drive v3 + an OAuth token endpoint (POST /token), enough for kopia 0.23.1. What it
# stores is in memory, and in the file $FAKE_STATE, if that is set, for the next start.
# Multipart uploads of more than 5 MB are refused. Some folders are special: one that begins with
# "missing" does not exist; in one that begins with "sparse" the first page of each search is empty;
# in one that begins with "lagging" the first three searches that would find a new file do not, and
# the first three that would have found a deleted one still do.
# Usage: gdrive.py PORT FOLDERID
import os,sys;sys.dont_write_bytecode=True
import json,time,re,threading,uuid,email,email.policy
from journal import Journal
from http.server import ThreadingHTTPServer,BaseHTTPRequestHandler
from urllib.parse import urlsplit,parse_qs
PORT=int(sys.argv[1]);FOLDER=sys.argv[2];L=threading.RLock();F={};SESS={};HIDDEN={};GHOSTS={};LAG=3;J=Journal(os.environ.get("FAKE_STATE"))
def apply(fid,f):
    if f: F[fid]=f
    else: del F[fid]
for fid,f in J.records: apply(fid,f)
def keep(fid,f):
    old=F.get(fid)
    if any(p.startswith("lagging") for p in (f or old)["parents"]):
        if not f: GHOSTS[fid]=[old,LAG]
        elif not old: HIDDEN[fid]=LAG
    apply(fid,f);J.add((fid,f))
def ts(): 
    t=time.time();return time.strftime("%Y-%m-%dT%H:%M:%S",time.gmtime(t))+".%03dZ"%(t%1*1000)
class H(BaseHTTPRequestHandler):
    protocol_version="HTTP/1.1";disable_nagle_algorithm=True # heads and bodies are sent apart
    def log_message(s,*a): pass
    def out(s,code,obj=None,body=None,hd={}):
        b=body if body is not None else (json.dumps(obj).encode() if obj is not None else b"")
        s.send_response(code)
        if body is None and obj is not None: s.send_header("Content-Type","application/json; charset=UTF-8")
        for k,v in hd.items(): s.send_header(k,v)
        s.send_header("Content-Length",str(len(b)));s.end_headers();s.wfile.write(b)
    def err(s,c,r,m): s.out(c,{"error":{"code":c,"message":m,"errors":[{"domain":"global","reason":r,"message":m}]}})
    def view(s,f,all=True): return {"id":f["id"],"name":f["name"],"mimeType":f["mimeType"],"size":str(len(f["data"])),"modifiedTime":f["modifiedTime"]}
    def base(s): # as the client has it, which a proxy may have led here
        h=s.headers.get("Host","");return ("http://" if h.startswith("127.") else "https://")+h
    def rd(s):
        if "chunked" in (s.headers.get("Transfer-Encoding") or ""):
            b=b""
            while True:
                n=int(s.rfile.readline().split(b";")[0],16);d=s.rfile.read(n);s.rfile.readline()
                if n==0: return b
                b+=d
        return s.rfile.read(int(s.headers.get("Content-Length") or 0))
    def match(s,f,q):
        for t in re.split(r" and ",q):
            t=t.strip()
            if m:=re.fullmatch(r"'([^']*)' in parents",t):
                if m[1] not in f["parents"]: return False
            elif m:=re.fullmatch(r"name = '([^']*)'",t):
                if f["name"]!=m[1]: return False
            elif m:=re.fullmatch(r"name contains '([^']*)'",t):
                if not f["name"].startswith(m[1]): return False
            elif m:=re.fullmatch(r"mimeType = '([^']*)'",t):
                if f["mimeType"]!=m[1]: return False
            elif t=="trashed = false": pass
            else: raise Exception("query "+t)
        return True
    def go(s):
        u=urlsplit(s.path);q={k:v[-1] for k,v in parse_qs(u.query,keep_blank_values=True).items()};p=u.path;b=s.rd();m=s.command
        if p=="/token": return s.out(200,{"access_token":"at","token_type":"Bearer","expires_in":3600})
        if s.headers.get("Authorization")!="Bearer at": return s.err(401,"authError","Invalid Credentials")
        with L:
            if p=="/drive/v3/about": return s.out(200,{"storageQuota":{"limit":"16106127360","usage":"1000","usageInDrive":"1000","usageInDriveTrash":"0"}})
            if p=="/drive/v3/files" and m=="GET":
                if "'missing" in q.get("q",""): return s.err(404,"notFound","File not found: .")
                if "'sparse" in q.get("q","") and "pageToken" not in q: return s.out(200,{"files":[],"nextPageToken":"0"})
                r=[f for f in sorted(F.values(),key=lambda f:f["name"]) if s.match(f,q.get("q",""))]
                late=[f["id"] for f in r if HIDDEN.get(f["id"])]
                for fid in late: HIDDEN[fid]-=1
                ghosts=[g for g in GHOSTS.values() if g[1] and s.match(g[0],q.get("q",""))]
                for g in ghosts: g[1]-=1
                r=[f for f in r if f["id"] not in late]+[g[0] for g in ghosts]
                o=int(q.get("pageToken") or 0);n=int(q.get("pageSize") or 100);res={"files":[s.view(f) for f in r[o:o+n]]}
                if len(r)>o+n: res["nextPageToken"]=str(o+n)
                return s.out(200,res)
            if x:=re.fullmatch(r"/upload/drive/v3/files(?:/([^/]+))?",p):
                fid=x[1]
                if fid and fid not in F: return s.err(404,"notFound","File not found: "+fid)
                def commit(fid,md,data):
                    fid=fid or uuid.uuid4().hex;f=F.get(fid) or {"id":fid,"parents":md.get("parents",[]),"name":md.get("name",""),"mimeType":md.get("mimeType","")}
                    f={**f,"data":data,"modifiedTime":md.get("modifiedTime") or ts()};keep(fid,f);s.out(200,s.view(f))
                if q.get("upload_id"):
                    se=SESS[q["upload_id"]];cr=s.headers.get("Content-Range","");
                    se["buf"]+=b
                    if cr.endswith("/*"): return s.out(308,None,b"",{"Range":f"bytes=0-{len(se['buf'])-1}","X-Http-Status-Code-Override":"308"} if s.headers.get("X-GUploader-No-308")!="yes" else {"Range":f"bytes=0-{len(se['buf'])-1}"}) if s.headers.get("X-GUploader-No-308")!="yes" else s.out(200,None,b"",{"X-Http-Status-Code-Override":"308","Range":f"bytes=0-{len(se['buf'])-1}"})
                    return commit(se["fid"],se["md"],se["buf"])
                if q["uploadType"]=="multipart":
                    msg=email.message_from_bytes(b"Content-Type: "+s.headers["Content-Type"].encode()+b"\r\n\r\n"+b,policy=email.policy.HTTP)
                    bd=msg.get_boundary().encode();parts=b.split(b"--"+bd)
                    j=parts[1].split(b"\r\n\r\n",1)[1];d=b.split(b"--"+bd,2)[2].split(b"\r\n\r\n",1)[1];d=d[:d.rindex(b"\r\n--"+bd+b"--")]
                    if len(d)>5000000: return s.err(413,"uploadTooLarge","Use a resumable upload")
                    return commit(fid,json.loads(j),d)
                if q["uploadType"]=="resumable":
                    i=uuid.uuid4().hex;SESS[i]={"fid":fid,"md":json.loads(b or b"{}"),"buf":b""}
                    return s.out(200,None,b"",{"Location":f"{s.base()}{p}?uploadType=resumable&upload_id={i}"})
            if x:=re.fullmatch(r"/drive/v3/files/([^/]+)",p):
                f=F.get(x[1])
                if not f: return s.err(404,"notFound","File not found: "+x[1])
                if m=="DELETE": keep(x[1],None);return s.out(204,None,b"")
                if q.get("alt")=="media":
                    d=f["data"];r=s.headers.get("Range")
                    if r:
                        a,e=r[6:].split("-");a=int(a);e=int(e) if e else len(d)-1
                        if a>=len(d): return s.err(416,"requestedRangeNotSatisfiable","Request range not satisfiable")
                        e=min(e,len(d)-1);return s.out(206,body=d[a:e+1],hd={"Content-Range":f"bytes {a}-{e}/{len(d)}"})
                    return s.out(200,body=d)
                return s.out(200,s.view(f))
        s.err(404,"notFound",p)
    do_GET=do_POST=do_PATCH=do_PUT=do_DELETE=go
ThreadingHTTPServer(("127.0.0.1",PORT),H).serve_forever()
